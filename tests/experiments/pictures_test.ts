/** A folder of colour PNG images, from training to the report, with the tasks as users run them. */

import assert from "node:assert/strict";
import { dataIn } from "../viz/report/page_content.ts";
import { decode } from "npm:fast-png@8.0.0";
import { assertMistakes } from "./refusals.ts";
import { bareRun, noPictures, oneThread, testTask, tinyNetwork, tinyRunWithPaths } from "./cli.ts";
import { spot, spotsOf, writeFiles } from "./data/tiny_png.ts";

const onBirds = (flags: string) => flags.replace("--data data", "--data birds");

testTask("train accepts a folder of colour PNG images, and reports on it", async (place) => {
  await writeFiles(place.file("birds"), spotsOf(["finch", "owl"], 20, 3));
  const conditional = tinyRunWithPaths.replace("--no-conditional", "--conditional");
  const flags = onBirds(`${conditional} --max-steps 2 --schedule constant --out run`);
  const { stderr } = await place.succeed("train:base", flags);
  assert.match(stderr, /birds: 36 training and 4 test images of 3 x 12 x 12, 2 classes: finch, owl\n/);

  const { dataset } = await place.json("run/run.json");
  const { name, source, channels, classes, classNames, train, validation, test } = dataset;
  assert.deepEqual([name, source, channels, classes, classNames], ["birds", "birds", 3, 2, ["finch", "owl"]]);
  assert.deepEqual([train, validation, test], [32, 4, 4]);
  assert.equal(decode(await place.read("run", "samples.png")).channels, 3);
  assert.ok((await place.names("run")).includes("flow_linear.gif"));

  const draw = async (classes: string, out: string, checkpoint = "run") => {
    const how = `--class ${classes} --count 2 --solver heun:steps=1 --out ${out} ${oneThread}`;
    return (await place.succeed("sample", `--checkpoint ${checkpoint} ${how}`)).stderr;
  };
  assert.match(await draw("owl,finch", "named.npy"), /^2 samples of class owl, finch, guidance /);
  assert.match(await draw("1,0", "a.npy", "run/ema.safetensors"), /^2 samples of class owl, finch, /);
  assert.deepEqual(await place.read("named.npy"), await place.read("a.npy"));
  const says = "ConfigError: Cannot draw class finnch from run/ema.safetensors: " +
    "it has the classes 0 to 1 (finch, owl) (did you mean finch?)\n";
  await assertMistakes(place, "sample", { "--checkpoint run --class owl,finnch": says });

  const page = await place.text("run/report.html");
  const about = "birds: 32 training, 4 validation and 4 test images of 3 x 12 x 12, 2 classes: finch, owl";
  assert.ok(page.includes(about));
  assert.deepEqual(dataIn(page).runs[0].classNames, ["finch", "owl"]);
});

testTask("train --preset overfit takes grey PNG images in a folder named as a data set", async (place) => {
  await writeFiles(place.file("fashion-mnist"), spotsOf(["."], 40));
  const how = "--preset overfit --train-limit 10 --max-steps 20 --log-every 1";
  const network = tinyNetwork.replace("--data data", "--data fashion-mnist");
  const { stderr } = await place.succeed("train:residual", `${network} ${how} ${noPictures} --out run`);
  assert.match(stderr, /fashion-mnist: 36 training and 4 test images of 12 x 12, no classes\n/);
  const losses = (await place.metrics("run")).flatMap(({ train_loss: loss }) => loss ?? []) as number[];
  assert.ok(losses.at(-1)! < 0.7 * losses[0], `${losses}`);
});

testTask("train names a damaged image, and a run that leaves it out continues without it", async (place) => {
  const damaged = { "owl/7.png": new Uint8Array(99) };
  await writeFiles(place.file("birds"), { ...spotsOf(["finch", "owl"], 20), ...damaged });
  const says = [
    "DataError: Cannot read birds/owl/7.png: it is damaged ",
    " or pass --skip-damaged\n",
  ] as const;
  await assertMistakes(place, "train:base", { [onBirds(`${bareRun} --out run`)]: says });
  const short = `${bareRun.replace("--epochs 3", "--max-steps 2")} --schedule constant --skip-damaged`;
  const started = await place.succeed("train:base", onBirds(`${short} --out run`));
  assert.match(started.stderr, /2 classes: finch, owl; 1 damaged image left out\n/);
  assert.equal((await place.json("run/run.json")).dataset.damaged, 1);
  await place.succeed("train:base", "--resume run --max-steps 4");
  assert.match(await place.text("run/report.html"), /; 1 damaged image left out/);
  await writeFiles(place.file("birds"), { "owl/7.png": spot(7) });
  const mended = await place.run("train:base", "--resume run --max-steps 6");
  assert.match(mended.stderr, /^DataError: Cannot resume run: it was trained on other images /m);
});
