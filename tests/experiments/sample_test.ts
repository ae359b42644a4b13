import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
// @ts-types="npm:@types/pngjs@6.0.5"
import { PNG } from "npm:pngjs@7.0.0";
import { drawSamples, drawSamplesInBatches } from "../../experiments/draw/samples.ts";
import { createModel, decodeSafetensors, encodeSafetensors } from "../../models/mod.ts";
import { assertClose, testOnDevices } from "../testing.ts";
import { madeOnce, oneThread, type TaskName, testTask, tinyNetwork, type Workplace } from "./cli.ts";
import { imageSize } from "./data/tiny_idx.ts";
import { storeNetwork } from "./stored_network.ts";

const training =
  `${tinyNetwork} --max-minutes 0 --max-steps 3 --samples 0 --flow-samples 0 --path-samples 0 --no-conditional --out run`;
const checkpoint = `--checkpoint run/last.safetensors ${oneThread}`;

const trained = (place: Workplace, task: TaskName, flags: string) =>
  madeOnce(place, `${task} ${flags}`, (place) => place.succeed(task, flags));

/** Header and values of an npy file with f32 values. */
function readNpy(bytes: Uint8Array<ArrayBuffer>): { header: string; values: Float32Array } {
  const start = 10 + new DataView(bytes.buffer).getUint16(8, true);
  return {
    header: new TextDecoder().decode(bytes.subarray(10, start)).trimEnd(),
    values: new Float32Array(bytes.buffer.slice(start)),
  };
}

testTask("sample draws a nearly square grid, or one with given columns", async (place) => {
  await trained(place, "train:residual", training);
  const { stderr } = await place.succeed("sample", `${checkpoint} --solver heun:steps=3 --count 7`);
  assert.match(stderr, /^7 samples, heun, 3 steps, 6 evaluations each, in [\d.]+ s on .*: grid.png\n$/);
  await place.succeed("sample", `${checkpoint} --solver heun:steps=3 --count 7 --columns 2 --out two.png`);
  const cell = 3 * imageSize + 2;
  const size = async (name: string) => {
    const { width, height } = PNG.sync.read(Buffer.from(await place.read(name)));
    return [width, height];
  };
  assert.deepEqual(await size("grid.png"), [3 * cell - 2, 3 * cell - 2]);
  assert.deepEqual(await size("two.png"), [2 * cell - 2, 4 * cell - 2]);
});

testTask("sample gives the same bytes for a seed, and the same sample n for any count", async (place) => {
  await trained(place, "train:base", training);
  const draw = async (flags: string) => {
    await place.succeed("sample", `${checkpoint} ${flags} --out x.npy`);
    return readNpy(await place.read("x.npy"));
  };
  const usual = "--solver heun:steps=3 --count 5";
  const { header, values } = await draw(usual);
  const size = `5, 1, ${imageSize}, ${imageSize}`;
  assert.equal(header, `{'descr': '<f4', 'fortran_order': False, 'shape': (${size}), }`);
  assert.ok(values.every(Number.isFinite));
  assert.deepEqual((await draw(usual)).values, values);
  assert.notDeepEqual((await draw(`${usual} --seed 1`)).values, values);
  assert.notDeepEqual((await draw("--solver euler:steps=3 --count 5")).values, values);
  const { values: few } = await draw("--solver heun:steps=3 --count 2");
  assert.deepEqual(few, values.slice(0, 2 * imageSize ** 2));
});

testTask("sample prints the cost of its solver, and writes nothing if it reaches a limit", async (place) => {
  await trained(place, "train:base", training);
  const flags = `${checkpoint} --count 5`;
  const costs: [solver: string, says: RegExp][] = [
    [
      "dopri5:rtol=1e-3",
      /^5 samples, dopri5, rtol 0\.001, atol 0\.001, \d+ evaluations of each batch, steps of a sample: [\d.]+ \(\d+ to \d+\) accepted, [\d.]+ \(\d+ to \d+\) rejected, in /,
    ],
    ["sde:steps=4", /^5 samples, sde, 4 steps, noise 1, 4 evaluations each, in /],
    ["heun:grid=0/0.5/1", /^5 samples, heun, 2 steps, times 0\/0.5\/1, 4 evaluations each, in /],
  ];
  for (const [solver, says] of costs) {
    assert.match((await place.succeed("sample", `${flags} --solver ${solver}`)).stderr, says);
  }
  const before = await place.read("grid.png");
  const limited = `${flags} --solver dopri5:rtol=1e-6,max-evaluations=7 --seed 1`;
  const { code, stderr } = await place.run("sample", limited);
  assert.equal(code, 1);
  assert.match(
    stderr,
    /^RunError: Cannot solve in 7 evaluations: the slowest sample is at t = 0\.0000; use a larger tolerance or maxEvaluations \(--solver; nothing is written\)\n$/,
  );
  assert.deepEqual(await place.read("grid.png"), before);
});

testTask("sample uses a run's averaged weights, and writes pixels or network values", async (place) => {
  await trained(place, "train:residual", `${training} --attn`);
  await Deno.writeTextFile(place.file("x.npy"), "old");
  const draw = async (flags: string) => {
    await place.succeed("sample", `--device cpu --solver heun:steps=2 --count 2 --out x.npy ${flags}`);
    return readNpy(await place.read("x.npy")).values;
  };
  const pixels = await draw("--checkpoint run --guidance 1");
  assert.deepEqual(await draw("run --guidance 1"), pixels, "a word names the run, too");
  assert.deepEqual(await draw("run/ema.safetensors"), pixels);
  assert.deepEqual(await draw("--checkpoint run/ema.safetensors"), pixels);
  assert.notDeepEqual(await draw("--checkpoint run/last.safetensors"), pixels);
  const seen = await draw("--checkpoint run --guidance 1 --values network");
  assertClose(seen, pixels.map((pixel) => 2 * pixel - 1), 1e-6);
  assert.deepEqual(await place.names(), ["data", "run", "x.npy"]);

  for (const name of ["ema", "last"]) await Deno.remove(place.file("run", `${name}.safetensors`));
  const { code, stderr } = await place.run("sample", "--checkpoint run --device cpu");
  assert.equal(code, 1);
  assert.equal(stderr, "RunError: Cannot draw from run: it has no ema.safetensors or last.safetensors\n");
});

testTask("sample guides a run without classes away from its early weights", async (place) => {
  await trained(place, "train:residual", training);
  const draw = async (checkpoint: string) => {
    const flags = "--device cpu --solver euler:steps=1 --count 2 --out x.npy";
    await place.succeed("sample", `${flags} --checkpoint ${checkpoint}`);
    return readNpy(await place.read("x.npy")).values;
  };
  const late = await draw("run --guidance 1");
  const early = await draw("run --guidance 0");
  assert.deepEqual(early, await draw("run/early.safetensors"));
  assert.deepEqual(late, await draw("run/ema.safetensors"));
  // A step of Euler is linear in the velocity: guided away from the early one, with scale 2 by default.
  const away = late.map((x, i) => early[i] + 2 * (x - early[i]));
  assertClose(await draw("run"), away, 1e-5);
  assert.notDeepEqual(late, early);
  const { stderr } = await place.run("sample", "--device cpu --count 1 --checkpoint run --out x.png");
  assert.match(stderr, /autoguidance 2, .*of the network and its early weights, in/);
});

testTask("sample draws from a PyTorch state dict that flags describe", async (place) => {
  const flags = "--device cpu --solver heun:steps=2 --count 2 --out x.npy";
  const bytes = await storeNetwork(place, "made", [4, 6], { channels: 3 });
  await place.succeed("sample", `${flags} --checkpoint made.safetensors`);
  const expected = await place.read("x.npy");
  const { tensors } = decodeSafetensors(bytes, "made");
  await Deno.writeFile(place.file("torch.safetensors"), encodeSafetensors(tensors));
  const network = "--model base --filters 4,8 --t-emb 8 --groups 4 --channels 3 --image-size 4,6";
  const ofTorch = `${flags} --checkpoint torch.safetensors`;
  await place.succeed("sample", `${ofTorch} ${network} --normalize -1..1`);
  assert.deepEqual(await place.read("x.npy"), expected);

  await storeNetwork(place, "made", [4, 6], { channels: 3, path: "cosine", prediction: "data" });
  await place.succeed("sample", `${flags} --checkpoint made.safetensors`);
  const other = await place.read("x.npy");
  await place.succeed("sample", `${ofTorch} ${network} --normalize -1..1 --path cosine --prediction data`);
  assert.deepEqual(await place.read("x.npy"), other);
  assert.notDeepEqual(other, expected);

  const refused: [flags: string, says: string][] = [
    [
      `${ofTorch} --model base`,
      "ConfigError: Cannot draw from torch.safetensors: it does not say which network its weights belong to " +
      "(missing --filters, --t-emb)\n",
    ],
    [
      `${ofTorch} ${network}`,
      "ConfigError: Cannot draw from torch.safetensors: it does not say which range of pixels its network was " +
      "trained on (missing --normalize)\n",
    ],
    [
      `${ofTorch} ${network.replace("4,8", "4,12")} --normalize 0..1`,
      'StateError: Cannot load torch.safetensors: "downs.1.weight" is f32[8, 4, 3, 3] (expected f32[12, 4, 3, 3]); ' +
      "does it belong to a network with other settings?\n",
    ],
    [
      `${flags} --checkpoint made.safetensors --t-emb 4`,
      "ConfigError: Cannot use --t-emb with made.safetensors: the file itself describes its network (leave it out)\n",
    ],
  ];
  for (const [flags, says] of refused) {
    const { code, stderr } = await place.run("sample", flags);
    assert.deepEqual([code, stderr], [1, says]);
  }
});

testOnDevices("drawSamplesInBatches() equals drawSamples(), and reports every step", async () => {
  const drawable = {
    model: createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4 }, 1),
    normalization: { scale: 2, shift: -1 },
    shape: [1, 4, 4],
  } as const;
  for (const count of [5, 64, 131]) { // for 131, the last of three batches overlaps
    const solver = { solver: "heun", steps: 2 } as const;
    const told: number[] = [];
    const { pixels, evaluations } = await drawSamplesInBatches(
      drawable,
      { count, seed: 3 },
      solver,
      (done) => void told.push(done),
    );
    assert.deepEqual(pixels, await drawSamples(drawable, { count, seed: 3, ...solver }));
    assert.equal(evaluations, 4);
    assert.deepEqual(told.toSorted((a, b) => a - b), told);
    assert.equal(told.at(-1), count);
    assert.equal(told.length, 2 * Math.ceil(count / 64));
  }
});

testTask(
  "sample draws three channels as picture or array, and other counts as array only",
  async (place) => {
    await storeNetwork(place, "made", [4, 6], { channels: 3 });
    const flags = "--checkpoint made.safetensors --device cpu --solver heun:steps=2 --count 3 --seed 7";
    await place.succeed("sample", `${flags} --out x.npy`);
    const { header, values } = readNpy(await place.read("x.npy"));
    assert.match(header, /'shape': \(3, 3, 4, 6\)/);
    await place.succeed("sample", `${flags} --columns 3 --out x.png`);
    const { width, height, data } = PNG.sync.read(Buffer.from(await place.read("x.png")));
    assert.deepEqual([width, height], [3 * 20 - 2, 12]);
    for (const [n, c, row, column] of [[0, 0, 0, 0], [1, 2, 3, 5], [2, 1, 2, 4]]) {
      const value = values[((n * 3 + c) * 4 + row) * 6 + column];
      const level = data[4 * (3 * row * width + 20 * n + 3 * column) + c];
      assert.equal(level, Math.round(255 * Math.min(1, Math.max(0, value))));
    }

    await storeNetwork(place, "made", [4, 6], { channels: 2 });
    const { code, stderr } = await place.run("sample", `${flags} --out y.png`);
    assert.equal(code, 1);
    assert.equal(
      stderr,
      "RunError: Cannot draw images of 2 channels as a picture (expected 1 or 3, or a file that ends with .npy)\n",
    );
    await place.succeed("sample", `${flags} --out x.npy`);
    assert.match(readNpy(await place.read("x.npy")).header, /'shape': \(3, 2, 4, 6\)/);
  },
);
