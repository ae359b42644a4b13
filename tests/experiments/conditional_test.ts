import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { PNG } from "npm:pngjs@7.0.0";
import { IDX_NAMES } from "../../experiments/data/idx.ts";
import { readTrajectories } from "../../experiments/draw/trajectories.ts";
import { init } from "../../kernels/mod.ts";
import { decodeSafetensors, encodeSafetensors, loadCheckpoint } from "../../models/mod.ts";
import { oneThread, testTask, tinyRun, tinyRunWithPaths } from "./cli.ts";
import { imageSize } from "./data/tiny_idx.ts";
import { readPlaneTrajectories } from "../../experiments/draw/plane_trajectories.ts";
import { dataIn } from "../viz/report/page_content.ts";

/** Runs with labels: training, samples and files. */

// @ts-types="npm:@types/pngjs@6.0.5"

const conditional = tinyRun.replace("--no-conditional", "--conditional");
const cell = 3 * imageSize + 2;
const drawing = `--checkpoint run ${oneThread} --solver heun:steps=2`;

/** Width and height of a grid of samples. */
const grid = (columns: number, rows: number) => [columns * cell - 2, rows * cell - 2];

testTask(
  "train with labels draws one column per class, and sample draws the requested classes",
  async (place) => {
    const { stderr } = await place.succeed(
      "train:residual",
      `${conditional} --max-steps 6 --guidance 2 --out run`,
    );
    assert.match(stderr, /parameters, conditional on 10 classes, preset quick/);
    const config = JSON.parse(await Deno.readTextFile(place.file("run", "config.json")));
    assert.deepEqual([config.conditional, config.labelDropout, config.guidance], [true, 0.1, 2]);
    const size = async (...path: string[]) => {
      const { width, height } = PNG.sync.read(Buffer.from(await place.read(...path)));
      return [width, height];
    };
    assert.deepEqual(await size("run", "samples.png"), grid(10, 1));
    const flows = await readTrajectories(place.file("run"));
    assert.deepEqual(flows.map(({ label }) => label), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert.deepEqual(new Set(flows.map(({ guidance }) => guidance)), new Set([2]));

    // The same samples as those of the training run.
    const asTrained = `${drawing.replace("heun", "euler")} --seed 46020 --count 10 --guidance 2`;
    await place.succeed("sample", `${asTrained} --out same.png`);
    assert.equal(await place.digest("same.png"), await place.digest("run", "samples.png"));

    const said = async (flags: string) => (await place.succeed("sample", `${drawing} ${flags}`)).stderr;
    assert.match(
      await said("--out all.png"),
      /^60 samples of all 10 classes, guidance 1.4, heun, 2 steps, 4 evaluations each with and without the class, in /,
    );
    assert.deepEqual(await size("all.png"), grid(10, 6));
    assert.match(
      await said(
        "--class three,1,four --guidance 3 --guidance-interval 0.1,1 --cfg-zero --count 6 --out x.png",
      ),
      /^6 samples of class 3, 1, 4, guidance 3 for t in \[0.1, 1\] by CFG-Zero\*, heun, 2 steps/,
    );
    assert.deepEqual(await size("x.png"), grid(3, 2));
    assert.match(
      await said("--class none --count 4 --out x.png"),
      /^4 samples without a class, heun, 2 steps, 4 evaluations each, in /,
    );

    // Sample n depends only on its noise and its class.
    const arrays = await Promise.all(
      ["--class 7,7", "--class 7", "--class none", "--class 7 --guidance 0"].map(
        async (flags, i) => {
          await said(`${flags} --count 2 --out ${i}.npy`);
          return await place.read(`${i}.npy`);
        },
      ),
    );
    assert.deepEqual(arrays[0], arrays[1]);
    assert.deepEqual(arrays[2], arrays[3]); // guidance 0 ignores the class
    assert.notDeepEqual(arrays[1], arrays[2]);
  },
);

testTask("sample refuses classes that a network does not have", async (place) => {
  await place.succeed("train:base", `${conditional} --max-steps 2 --out run`);
  await place.succeed("train:base", `${tinyRun} --max-steps 2 --out plain`);
  const refusals: [flags: string, says: string][] = [
    ["--class 3,10", "Cannot draw class 10 from run/ema.safetensors: it has the classes 0 to 9"],
    ["--class 3.5", "Cannot draw class 3.5 from run/ema.safetensors: it has the classes 0 to 9"],
    ["--class owl", "Cannot draw class owl from run/ema.safetensors: it has the classes 0 to 9"],
    [
      "--class none --guidance 2",
      "--guidance has no effect without a class; remove it",
    ],
    [
      "--class none --cfg-zero",
      "--cfg-zero has no effect without guidance (a class, and --guidance other than 1); remove it",
    ],
    [
      "--guidance 1 --guidance-interval 0.1,1",
      "--guidance-interval has no effect without guidance (a class, and --guidance other than 1); remove it",
    ],
    [
      "--guidance 2 --checkpoint plain/ema.safetensors",
      "Cannot use --guidance with plain/ema.safetensors: its network was trained without classes, and there is no " +
      "early.safetensors to guide it away from (expected the folder of a run that has one, or leave it out)",
    ],
    ...["--class 3", "--guidance-interval 0,0.5", "--cfg-zero"].map((
      flags,
    ): [string, string] => [
      `${flags} --checkpoint plain/ema.safetensors`,
      `Cannot use ${
        flags.split(" ")[0]
      } with plain/ema.safetensors: its network was trained without classes (leave it out)`,
    ]),
  ];
  for (const [flags, says] of refusals) {
    const checkpoint = flags.includes("--checkpoint") ? "" : "--checkpoint run";
    const { code, stderr } = await place.run(
      "sample",
      `--device cpu --solver heun:steps=2 ${checkpoint} ${flags} --out x.png`,
    );
    assert.deepEqual([code, stderr], [1, `ConfigError: ${says}\n`]);
  }
});

testTask(
  "train uses labels by default, and says if the data has none",
  async (place) => {
    const undecided = tinyRun.replace(" --no-conditional", "") + " --max-steps 2";
    const { stderr } = await place.succeed("train:base", `${undecided} --out with`);
    assert.match(stderr, /conditional on 10 classes/);
    const paper = `${undecided} --preset paper --clip 0`;
    assert.doesNotMatch((await place.succeed("train:base", `${paper} --out paper`)).stderr, /conditional/);

    for (const name of [IDX_NAMES.trainLabels, IDX_NAMES.testLabels]) {
      await Deno.remove(
        place.file("data", name),
      );
    }
    const without = await place.succeed("train:base", `${undecided} --out without`);
    assert.match(without.stderr, /^Training without labels: the data set data has none\n/);
    const config = JSON.parse(await Deno.readTextFile(place.file("without", "config.json")));
    assert.deepEqual([config.conditional, config.guidance], [false, 2]);
    for (const flags of ["--conditional", "--guidance 2", "--label-dropout 0.2"]) {
      const { code, stderr } = await place.run("train:base", `${undecided} ${flags} --out x`);
      assert.equal(code, 1);
      assert.equal(
        stderr,
        "ConfigError: Cannot use --conditional: the data set data has no labels (expected some, or --no-conditional)\n",
      );
    }
    const { stderr: noEffect } = await place.run(
      "train:base",
      `${undecided} --no-conditional --label-dropout 0.2 --out x`,
    );
    assert.equal(
      noEffect,
      "ConfigError: --label-dropout has no effect without --conditional; remove it\n",
    );
  },
);

testTask("train --resume of a conditional run ends like an uninterrupted run", async (place) => {
  const flags = `${conditional} --schedule constant --warm-up 0 --label-dropout 0.5`;
  await place.succeed("train:base", `${flags} --max-steps 20 --out whole`);
  await place.succeed("train:base", `${flags} --max-steps 9 --out halves`);
  await place.succeed("train:base", "--resume halves --max-steps 20");
  assert.deepEqual((await place.state("halves")).tensors, (await place.state("whole")).tensors);
  for (const name of ["last.safetensors", "ema.safetensors", "samples.png", "flow/sample_3.safetensors"]) {
    assert.equal(await place.digest("halves", name), await place.digest("whole", name), name);
  }
  // Label dropout has an effect: without it, the weights differ.
  await place.succeed("train:base", `${flags.replace("0.5", "0")} --max-steps 20 --out kept`);
  assert.notDeepEqual(
    await place.read("kept", "last.safetensors"),
    await place.read("whole", "last.safetensors"),
  );
  await init({ device: "cpu" });
  assert.equal(loadCheckpoint(await place.read("whole", "last.safetensors"), "last").info.config.classes, 10);
});

testTask("sample draws classes from a PyTorch state dict, given their number", async (place) => {
  await place.succeed("train:base", `${conditional} --max-steps 2 --out run`);
  const { tensors } = decodeSafetensors(await place.read("run", "ema.safetensors"), "ema");
  await Deno.writeFile(place.file("torch.safetensors"), encodeSafetensors(tensors));
  const network = "--model base --filters 8,16 --t-emb 8 --image-size 12,12 --normalize -1..1";
  const drawn = "--device cpu --solver heun:steps=2 --class 3,1 --count 4 --out x.npy";
  await place.succeed("sample", `--checkpoint run ${drawn}`);
  const expected = await place.read("x.npy");
  await place.succeed("sample", `--checkpoint torch.safetensors ${network} --classes 10 ${drawn}`);
  assert.deepEqual(await place.read("x.npy"), expected);
  const { code, stderr } = await place.run("sample", `--checkpoint torch.safetensors ${network} ${drawn}`);
  assert.equal(code, 1);
  assert.match(stderr, /^StateError: Cannot load torch.safetensors: .*label_emb.weight/);
  const said = await place.run("sample", `--checkpoint run --classes 10 ${drawn}`);
  assert.match(
    said.stderr,
    /^ConfigError: Cannot use --classes with run\/ema.safetensors: the file itself describes/,
  );
});

testTask("train works without labels, and reports samples without classes", async (place) => {
  for (const name of [IDX_NAMES.trainLabels, IDX_NAMES.testLabels]) {
    await Deno.remove(place.file("data", name));
  }
  await place.succeed("train:base", `${tinyRunWithPaths} --max-steps 2 --out run`);
  const { dataset } = JSON.parse(await Deno.readTextFile(place.file("run", "run.json")));
  assert.equal(dataset.classes, 0);
  const paths = (await readPlaneTrajectories(place.file("run")))!;
  assert.deepEqual([paths.classes, paths.real.classes, paths.classifier], [undefined, undefined, undefined]);
  const live = (page: string) => Object(dataIn(page).runs[0].live).early !== undefined;
  assert.ok(live(await Deno.readTextFile(place.file("run", "report.html"))));
  await Deno.remove(place.file("run", "early.safetensors"));
  await place.succeed("report", "run --out plain.html");
  assert.ok(!live(await Deno.readTextFile(place.file("plain.html"))));
});
