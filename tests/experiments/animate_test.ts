import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
// @ts-types="npm:@types/pngjs@6.0.5"
import { PNG } from "npm:pngjs@7.0.0";
import { type TrajectorySource, writeTrajectories } from "../../experiments/draw/trajectories.ts";
import { readGif } from "../viz/image/gif_reading.ts";
import { flowFields } from "../../viz/mod.ts";
import { madeUpColourFlow, madeUpFlow } from "../viz/flow/made_up_flow.ts";
import { testTask, type Workplace } from "./cli.ts";
import { assertMistakes, testMistakes } from "./refusals.ts";

const source: TrajectorySource = { modelType: "UNet_FM", seed: 1, solver: "euler", steps: 10 };

/** Creates a run folder that only has trajectories of 8 x 8 pixels. */
async function storeFlows(place: Workplace, run: string, options: Partial<TrajectorySource> = {}, count = 3) {
  const all = { ...source, ...options };
  const flows = Array.from({ length: count }, (_, n) => madeUpFlow(n, all.steps + 1, [8, 8]));
  await writeTrajectories(place.file(run), flows, all);
}

testTask("animate draws all samples or chosen ones, as GIF, APNG or strip", async (place) => {
  await storeFlows(place, "run");
  const { stderr } = await place.succeed("animate", "run --frames 4 --scale 10 --hold 900");
  assert.match(stderr, /4 frames of 252 x 148 pixels, [\d.]+ MB in [\d.]+ s: flow_quiver_linear\.gif\n$/);
  const gif = readGif(await place.read("flow_quiver_linear.gif"));
  assert.deepEqual([gif.width, gif.height, gif.delays], [252, 148, [50, 50, 50, 900]]);

  const one = "run --samples 2 --field velocity --pacing logarithmic --frames 3 --scale 20";
  await place.succeed("animate", `${one} --format apng --out one.apng`);
  const first = PNG.sync.read(Buffer.from(await place.read("one.apng")));
  assert.deepEqual([first.width, first.height], [160, 28 + 160 + 20]);

  await place.succeed("animate", "run --format png --scale 5 --field none --map gray");
  const strip = PNG.sync.read(Buffer.from(await place.read("flow_none_linear.png")));
  assert.deepEqual([strip.width, strip.height], [22 + 8 * 46 - 6, 20 + 3 * 46 - 6]);
  const names = ["data", "flow_none_linear.png", "flow_quiver_linear.gif", "one.apng", "run"];
  assert.deepEqual(await place.names(), names);
});

testTask("animate aligns runs with different steps by t, and warns of different noise", async (place) => {
  await storeFlows(place, "a", {}, 2);
  await storeFlows(place, "b", { modelType: "UNet_FM_Residuals", steps: 4, seed: 2 }, 3);
  const { stderr } = await place.succeed("animate", "a b --frames 2 --field none --scale 10 --out two.gif");
  assert.match(stderr, /The runs start from different noise: their seeds are 1, 2 in the order given\n/);
  const gif = readGif(await place.read("two.gif"));
  assert.deepEqual([gif.width, gif.height], [22 + 2 * 86 - 6, 28 + 20 + 2 * 86 - 6]);
});

testTask("animate draws three channels in colour, in every format and field", async (place) => {
  const flows = [0, 1].map((n) => madeUpColourFlow(n, 11, [8, 8]));
  await writeTrajectories(place.file("run"), flows, source);
  await writeTrajectories(place.file("grey"), [madeUpFlow(0, 11, [8, 8])], source);
  for (const field of flowFields) {
    await place.succeed("animate", `run --field ${field} --frames 3 --scale 10 --out ${field}.gif`);
    assert.equal(readGif(await place.read(`${field}.gif`)).frames.length, 3);
  }
  const still = "--field none --frames 1 --scale 20 --samples 1";
  for (const [format, left, top] of [["apng", 0, 28], ["png", 0, 20]] as const) {
    await place.succeed("animate", `run ${still} --format ${format} --out ${format}.png`);
    const { width, data } = PNG.sync.read(Buffer.from(await place.read(`${format}.png`)));
    for (const [row, column] of [[1, 3], [4, 4], [6, 2]]) {
      const at = 4 * ((top + 20 * row + 10) * width + left + 20 * column + 10);
      const expected = [0, 1, 2].map((c) => flows[0].image[((10 * 3 + c) * 8 + row) * 8 + column]);
      const bytes = expected.map((value) => Math.round(255 * Math.min(1, Math.max(0, value))));
      assert.deepEqual([...data.subarray(at, at + 3)], bytes);
    }
  }
  const says = ["RunError: Cannot draw run and grey together: ", "3 x 8 x 8 and 8 x 8"] as const;
  await assertMistakes(place, "animate", { "run grey --samples 1": says });
});

testMistakes("animate", {
  "--frames 2": "ConfigError: Missing RUN: name the folder of a run, or an --experiment",
  empty: "RunError: Cannot find trajectories of empty: there is no empty/flow/sample_<k>.safetensors (",
  none: "ConfigError: Cannot find the run none: there is no such folder",
  "run --samples 1,7": "RunError: Cannot draw sample 7 of run: it stores 1, 2, 3\n",
  "run --field quiwer": ["ConfigError: ", '--field "quiwer": expected ', "(did you mean quiver?)"],
  "run --format png --hold 90": "ConfigError: --hold has no effect without an animation (",
  "run --format apng --hold 70000":
    "ConfigError: Cannot use --hold 70000 with --format apng: expected at most",
  "run --out flow.png": [
    "ConfigError: ",
    '"flow.png" with --format gif: expected a name that ends with .gif',
  ],
  "run --out missing/flow.gif --frames 1": "RunError: Cannot write missing/flow.gif: ",
  "--experiment other": "RunError: Cannot find trajectories: no run of experiment other in runs stores any",
}, async (place) => {
  await storeFlows(place, "run");
  await place.write("empty/config.json", "{}");
});
