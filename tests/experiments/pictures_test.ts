/** A folder of colour PNG images, from training to the report, with the tasks as users run them. */

import assert from "node:assert/strict";
import { dataIn } from "../viz/report/page_content.ts";
import { decode } from "npm:fast-png@8.0.0";
import { assertRefused } from "./refusals.ts";
import { bareRun, oneThread, testTask, tinyNetwork, tinyRunWithPaths } from "./cli.ts";
import { spot, spotsOf, writeFiles } from "./data/tiny_png.ts";

const onBirds = (flags: string) => flags.replace("--data data", "--data birds");

testTask("train accepts a folder of colour PNG images, and reports on it", async (place) => {
  await writeFiles(place.file("birds"), spotsOf(["finch", "owl"], 20, 3));
  const { stderr } = await place.succeed(
    "train:base",
    onBirds(
      `${
        tinyRunWithPaths.replace("--no-conditional", "--conditional")
      } --max-steps 2 --schedule constant --out run`,
    ),
  );
  assert.match(stderr, /birds: 36 training and 4 test images of 3 x 12 x 12, 2 classes: finch, owl\n/);

  const { dataset } = JSON.parse(await Deno.readTextFile(place.file("run", "run.json")));
  const { name, source, channels, classes, classNames, train, validation, test } = dataset;
  assert.deepEqual([name, source, channels, classes, classNames], ["birds", "birds", 3, 2, ["finch", "owl"]]);
  assert.deepEqual([train, validation, test], [32, 4, 4]);
  assert.equal(decode(await place.read("run", "samples.png")).channels, 3);
  assert.ok((await place.names("run")).includes("flow_linear.gif"));

  await place.succeed(
    "sample",
    "--checkpoint run --count 2 --solver heun:steps=2 --out grid.png --device cpu",
  );
  assert.equal(decode(await place.read("grid.png")).channels, 3);
  const draw = async (classes: string, out: string, checkpoint = "run") => {
    const flags =
      `--checkpoint ${checkpoint} --class ${classes} --count 2 --solver heun:steps=1 --out ${out}`;
    return await place.succeed("sample", `${flags} ${oneThread}`);
  };
  assert.match((await draw("owl,finch", "named.npy")).stderr, /^2 samples of class owl, finch, guidance /);
  assert.match(
    (await draw("1,0", "a.npy", "run/ema.safetensors")).stderr,
    /^2 samples of class owl, finch, /,
  );
  assert.deepEqual(await place.read("named.npy"), await place.read("a.npy"));
  const says = "ConfigError: Cannot draw class finnch from run/ema.safetensors: " +
    "it has the classes 0 to 1 (finch, owl) (did you mean finch?)\n";
  await assertRefused(place, { task: "sample", flags: "--checkpoint run --class owl,finnch", says: [says] });

  await place.succeed("report", "run --out again.html");
  const page = await Deno.readTextFile(place.file("again.html"));
  assert.match(
    page,
    /birds: 32 training, 4 validation and 4 test images of 3 x 12 x 12, 2 classes: finch, owl/,
  );
  assert.deepEqual(dataIn(page).runs[0].classNames, ["finch", "owl"]);

  await place.succeed("train:base", "--resume run --max-steps 4");
  await Deno.writeFile(place.file("birds", "owl", "0.png"), spot(8, 3));
  const other = await place.run("train:base", "--resume run --max-steps 6");
  assert.match(other.stderr, /^RunError: Cannot resume run: it was trained on other images /m);
});

testTask(
  "train --preset overfit takes a folder of grey PNG images without classes, before a data set of the same name",
  async (place) => {
    await writeFiles(place.file("fashion-mnist"), spotsOf(["."], 40));
    const flags =
      `${tinyNetwork} --preset overfit --train-limit 10 --samples 0 --flow-samples 0 --path-samples 0 --out run`;
    const { stderr } = await place.succeed(
      "train:residual",
      `${flags} --max-steps 20 --log-every 1`.replace("--data data", "--data fashion-mnist"),
    );
    assert.match(stderr, /fashion-mnist: 36 training and 4 test images of 12 x 12, no classes\n/);
    const losses = (await place.metrics("run")).flatMap(({ train_loss: loss }) => loss ?? []) as number[];
    assert.ok(losses.at(-1)! < 0.7 * losses[0], `${losses}`);
  },
);

testTask("train names a damaged image, and a run that leaves it out continues without it", async (place) => {
  await writeFiles(place.file("birds"), {
    ...spotsOf(["finch", "owl"], 20),
    "owl/7.png": new Uint8Array(99),
  });
  const { code, stderr } = await place.run("train:base", onBirds(`${bareRun} --out run`));
  assert.deepEqual([code, stderr.replace("reading images in birds: 40 to go\n", "")], [ // shown on busy machines
    1,
    "DataError: Cannot read birds/owl/7.png: it is damaged or not a PNG file (expected PNG, as its name says); " +
    "save it again as PNG, or pass --skip-damaged\n",
  ]);
  const short = `${bareRun.replace("--epochs 3", "--max-steps 2")} --schedule constant --skip-damaged`;
  const started = await place.succeed("train:base", onBirds(`${short} --out run`));
  assert.match(started.stderr, /2 classes: finch, owl; 1 damaged image left out\n/);
  const { dataset } = JSON.parse(await Deno.readTextFile(place.file("run", "run.json")));
  assert.equal(dataset.damaged, 1);
  await place.succeed("train:base", "--resume run --max-steps 4");
  await place.succeed("report", "run --out again.html");
  assert.match(await Deno.readTextFile(place.file("again.html")), /; 1 damaged image left out/);
  await writeFiles(place.file("birds"), { "owl/7.png": spot(7) });
  const mended = await place.run("train:base", "--resume run --max-steps 6");
  assert.match(mended.stderr, /^RunError: Cannot resume run: it was trained on other images /m);
});
