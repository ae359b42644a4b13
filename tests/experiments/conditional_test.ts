import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { PNG } from "npm:pngjs@7.0.0";
import { IDX_NAMES } from "../../experiments/data/idx.ts";
import { readTrajectories } from "../../experiments/draw/trajectories.ts";
import { init } from "../../kernels/mod.ts";
import { loadCheckpoint } from "../../models/mod.ts";
import { bareRun, oneThread, testTask, tinyRun, tinyRunWithPaths } from "./cli.ts";
import { imageSize } from "./data/tiny_idx.ts";
import { assertRefused } from "./refusals.ts";
import { storeNetwork } from "./stored_network.ts";
import { readPlaneTrajectories } from "../../experiments/draw/plane.ts";
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
    assert.deepEqual(await size("run", "samples.png"), grid(4, 3));
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
      /^60 samples of all 10 classes, guidance 1.3, heun, 2 steps, 4 evaluations each with and without the class, in /,
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
  await storeNetwork(place, "labelled", [imageSize, imageSize], { classes: 10 });
  await storeNetwork(place, "plain", [imageSize, imageSize]);
  const noGuidance = "without guidance (a class, and --guidance other than 1); remove it";
  const refusals: readonly (readonly [network: string, flags: string, says: string])[] = [
    ...["10", "3.5", "owl"].map((name) =>
      [
        "labelled",
        `--class ${name === "10" ? "3,10" : name}`,
        `Cannot draw class ${name} from labelled.safetensors: it has the classes 0 to 9`,
      ] as const
    ),
    ["labelled", "--class none --guidance 2", "--guidance has no effect without a class; remove it"],
    ["labelled", "--class none --cfg-zero", `--cfg-zero has no effect ${noGuidance}`],
    [
      "labelled",
      "--guidance 1 --guidance-interval 0.1,1",
      `--guidance-interval has no effect ${noGuidance}`,
    ],
    [
      "plain",
      "--guidance 2",
      "Cannot use --guidance with plain.safetensors: its network was trained without classes, and there is no " +
      "early.safetensors to guide it away from (expected the folder of a run that has one, or leave it out)",
    ],
    ...["--class 3", "--guidance-interval 0,0.5", "--cfg-zero"].map((flags) =>
      [
        "plain",
        flags,
        `Cannot use ${
          flags.split(" ")[0]
        } with plain.safetensors: its network was trained without classes (leave it out)`,
      ] as const
    ),
  ];
  for (const [network, flags, says] of refusals) {
    await assertRefused(place, {
      task: "sample",
      flags: `${network}.safetensors --device cpu --solver heun:steps=2 ${flags} --out x.png`,
      says: [`ConfigError: ${says}\n`],
    });
  }
});

testTask(
  "train uses labels by default, and says if the data has none",
  async (place) => {
    const undecided = bareRun.replace(" --no-conditional", "") + " --max-steps 2";
    const { stderr } = await place.succeed("train:base", `${undecided} --out with`);
    assert.match(stderr, /conditional on 10 classes/);
    const paper = `${undecided} --preset paper --clip 0`;
    assert.doesNotMatch((await place.succeed("train:base", `${paper} --out paper`)).stderr, /conditional/);

    for (const name of [IDX_NAMES.trainLabels, IDX_NAMES.testLabels]) {
      await Deno.remove(place.file("data", name));
    }
    const without = await place.succeed("train:base", `${undecided} --out without`);
    assert.match(without.stderr, /^Training without labels: the data set data has none\n/);
    const config = JSON.parse(await Deno.readTextFile(place.file("without", "config.json")));
    assert.deepEqual([config.conditional, config.guidance], [false, 2]);
    for (const flags of ["--conditional", "--guidance 2", "--label-dropout 0.2"]) {
      const says = ["ConfigError: Cannot use --conditional: the data set data has no labels"] as const;
      await assertRefused(place, { flags: `${undecided} ${flags} --out x`, says });
    }
    await assertRefused(place, {
      flags: `${undecided} --no-conditional --label-dropout 0.2 --out x`,
      says: ["ConfigError: --label-dropout has no effect without --conditional; remove it\n"],
    });
  },
);

testTask("train --resume of a conditional run ends like an uninterrupted run", async (place) => {
  const flags = `${
    bareRun.replace("--no-conditional", "--conditional")
  } --schedule constant --warm-up 0 --label-dropout 0.5`;
  await place.succeed("train:base", `${flags} --max-steps 20 --out whole`);
  await place.succeed("train:base", `${flags} --max-steps 9 --out halves`);
  await place.succeed("train:base", "--resume halves --max-steps 20");
  assert.deepEqual((await place.state("halves")).tensors, (await place.state("whole")).tensors);
  for (const name of ["last.safetensors", "ema.safetensors"]) {
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
