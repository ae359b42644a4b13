/** Training runs as users start them: their files, and numbers recomputed from these with the formulas of the docs. */

// @ts-types="npm:@types/pngjs@6.0.5"
import { PNG } from "npm:pngjs@7.0.0";
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { basename } from "node:path";
import { shuffled, splitImages } from "../../experiments/data/dataset.ts";
import { IDX_NAMES } from "../../experiments/data/idx.ts";
import { readPlaneTrajectories } from "../../experiments/draw/plane.ts";
import { readTrajectories } from "../../experiments/draw/trajectories.ts";
import { add, init, multiply, randomNormal, randomUniform, reshape, tensor } from "../../kernels/mod.ts";
import { decodeSafetensors, loadCheckpoint, sample, trajectory } from "../../models/mod.ts";
import { assertClose, noAdapter } from "../testing.ts";
import { readGif } from "../viz/image/gif_reading.ts";
import { dataIn } from "../viz/report/page_content.ts";
import {
  bareRun,
  noPictures,
  oneThread,
  testTask,
  tinyNetwork,
  tinyRun,
  tinyRunWithPaths,
  type Workplace,
} from "./cli.ts";
import { imageSize } from "./data/tiny_idx.ts";

type Lines = readonly Readonly<Record<string, unknown>>[];

/** All values of a metric. */
const values = (metrics: Lines, name: string) =>
  metrics.flatMap((line) => name in line ? [line[name] as number] : []);
const sizeOf = async (place: Workplace, ...path: string[]) => {
  const { width, height } = PNG.sync.read(Buffer.from(await place.read(...path)));
  return [width, height];
};
/** Width and height of a grid of samples. */
const grid = (columns: number, rows: number) => [columns, rows].map((n) => n * (3 * imageSize + 2) - 2);

testTask("train writes weights, metrics, pictures and its environment", async (place) => {
  for (const name of ["trainLabels", "testLabels"] as const) {
    await Deno.remove(place.file("data", IDX_NAMES[name]));
  }
  const flags = tinyRunWithPaths
    .replace("--epochs 3", "--epochs 2")
    .replace("--val-epochs 1 --sample-epochs 0", "--val-epochs 0.5 --sample-epochs 0.75");
  const { stderr } = await place.runProgram("train:residual", `${flags} --out run`);
  assert.match(stderr, /^residual U-Net \[8,16\], [\d,]+ parameters, .*\nrun folder run\n/);
  assert.match(
    stderr,
    /\nstep 22, validation loss [\d.]+, test loss [\d.]+ ± [\d.]+\nDone; open run\/rep.*\n$/,
  );
  assert.equal(
    (await place.names("run")).join(" "),
    "best.safetensors config.json early.safetensors ema.safetensors environment.json " +
      "few_steps.png flow flow_linear.gif last.safetensors loss_by_time.json metrics.jsonl report.html run.json " +
      "samples samples.png state.safetensors",
  );

  const metrics = await place.metrics("run");
  // 86 images in batches of 8: half an epoch is 5.375 steps
  assert.equal(values(metrics, "step").join(), "0,3,6,6,9,9,11,12,15,17,17,18,21,22,22,22");
  const validated = metrics.filter((line) => "val_loss" in line).map(({ step, epoch }) => [step, epoch]);
  assert.deepEqual(validated, [[6, 0], [11, 1], [17, 1], [22, 2]]);
  const grids = ["step_000000.png", "step_000009.png", "step_000017.png"];
  assert.deepEqual(await place.names("run/samples"), grids);
  const [losses, rates] = [values(metrics, "train_loss"), values(metrics, "learning_rate")];
  assert.ok(losses.at(-1)! < 0.8 * losses[0], `${losses}`);
  assert.deepEqual([losses.length, new Set(rates).size], [8, 8], `one_cycle changes the rate: ${rates}`);
  const held = [...values(metrics, "val_loss"), ...values(metrics, "test_loss")];
  assert.ok(held.length === 5 && held.every((loss) => loss > 0 && loss < losses[0]), `${held}`);

  const { model, filters, epochs, resume } = await place.json("run/config.json");
  assert.deepEqual([model, filters, epochs, resume], ["residual", [8, 16], 2, null]);
  const { adapter, denoVersion, gitCommit, argv } = await place.json("run/environment.json");
  assert.deepEqual([adapter.kind, denoVersion], ["cpu", Deno.version.deno]);
  assert.match(gitCommit ?? "0".repeat(40), /^[0-9a-f]{40}$/); // null outside a repository
  assert.ok(argv.includes("--epochs"));
  assert.equal((await place.json("run/run.json")).dataset.classes, 0);

  assert.deepEqual(await sizeOf(place, "run", "samples.png"), grid(3, 2)); // 5 samples
  const gif = readGif(await place.read("run", "flow_linear.gif"));
  assert.deepEqual([gif.frames.length, gif.width], [3, 2 * (14 * imageSize + 6) - 6]);
  for (const [n, flow] of (await readTrajectories(place.file("run"))).entries()) {
    const { k, modelType, solver, steps, seed, trajectory: { shape } } = flow;
    assert.deepEqual([k, modelType, solver, steps, seed], [n + 1, "UNet_FM_Residuals", "euler", 4, 46020]);
    assert.deepEqual(shape, [5, imageSize, imageSize]);
  }
  const { conditioning, real } = (await readPlaneTrajectories(place.file("run")))!;
  assert.deepEqual([conditioning, real.classes], [undefined, undefined]);
  await assertFinite(place, "run");

  // The same training loss everywhere, that of the last steps.
  const page = await place.text("run/report.html");
  assert.ok(page.includes(`Training loss at the end</th><td>${losses.at(-1)!.toFixed(4)}</td>`));
  const { stdout } = await place.succeed("runs", "--root .");
  assert.ok(stdout.includes(` ${Number(losses.at(-1)!.toPrecision(4))} `), stdout);
  const guides = (page: string) => Object(dataIn(page).runs[0].live).early !== undefined;
  await Deno.remove(place.file("run", "early.safetensors"));
  await place.succeed("report", "run --out plain.html");
  assert.deepEqual([guides(page), guides(await place.text("plain.html"))], [true, false]);
});

testTask("train draws one column per class, and sample the requested ones", async (place) => {
  const conditional = tinyRun.replace("--no-conditional", "--guidance 2");
  const { stderr } = await place.succeed("train:residual", `${conditional} --max-steps 6 --out run`);
  assert.match(stderr, /parameters, conditional on 10 classes, preset quick/);
  assert.deepEqual(await sizeOf(place, "run", "samples.png"), grid(10, 1));
  const flows = await readTrajectories(place.file("run"));
  assert.deepEqual(flows.map(({ label }) => label), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.deepEqual(new Set(flows.map(({ guidance }) => guidance)), new Set([2]));

  const drawing = `--checkpoint run ${oneThread} --solver heun:steps=2`;
  const draw = async (flags: string) => (await place.succeed("sample", `${drawing} ${flags}`)).stderr;
  const asTrained = `${drawing.replace("heun", "euler")} --seed 46020 --count 10 --guidance 2`;
  await place.succeed("sample", `${asTrained} --out same/`);
  const row = PNG.sync.read(Buffer.from(await place.read("run", "samples.png")));
  const listed = [...(await place.listing(place.file("same"))).keys()];
  const names = listed.filter((path) => path.endsWith(".png")).sort((a, b) =>
    basename(a) < basename(b) ? -1 : 1
  );
  assert.equal(names.length, 10);
  for (const [n, name] of names.entries()) {
    const own = PNG.sync.read(Buffer.from(await Deno.readFile(name)));
    for (let i = 0; i < imageSize ** 2; i++) {
      const [y, x] = [Math.floor(i / imageSize), i % imageSize];
      const at = 3 * y * row.width + n * (3 * imageSize + 2) + 3 * x; // three pixels for each, two between images
      assert.equal(row.data[4 * at], own.data[4 * i], `${name}, pixel ${i}`);
    }
  }
  const said: Record<string, RegExp> = {
    "--out all.png":
      /^60 samples of all 10 classes, guidance 1.3, heun, 2 steps, 3 evaluations each with and /,
    "--class three,1,four --guidance 3 --guidance-interval 0.1,1 --cfg-zero --count 6 --out x.png":
      /^6 samples of class 3, 1, 4, guidance 3 for t in \[0.1, 1\] by CFG-Zero\*, heun, 2 steps/,
    "--class none --count 4 --out y.png":
      /^4 samples without a class, heun, 2 steps, 3 evaluations each, in /,
  };
  for (const [flags, words] of Object.entries(said)) assert.match(await draw(flags), words);
  const scale = Math.round(84 / imageSize); // with names above
  for (const [name, columns, rows] of [["all.png", 10, 6], ["x.png", 3, 2]] as const) {
    const [width, height] = await sizeOf(place, name);
    assert.deepEqual([width, height].map((n) => Math.floor(n / scale / imageSize)), [columns, rows], name);
  }
  // Sample n depends only on its noise and its class.
  const digestOf = (flags: string) =>
    draw(`${flags} --count 2 --out x.npy`).then(() => place.digest("x.npy"));
  const [twice, seven] = [await digestOf("--class 7,7"), await digestOf("--class 7")];
  const [none, unguided] = [await digestOf("--class none"), await digestOf("--class 7 --guidance 0")];
  assert.equal(twice, seven);
  assert.equal(none, unguided, "guidance 0 ignores the class");
  assert.notEqual(seven, none);
});

testTask("train runs on WebGPU as on the CPU", async (place) => {
  const flags = bareRun.replace("--epochs 3", "--max-steps 6");
  await place.succeed("train:residual", `${flags} --out cpu`);
  await place.succeed("train:residual", `${flags.replace(oneThread, "--device webgpu")} --out webgpu`);
  assert.equal((await place.json("webgpu/environment.json")).adapter.kind, "webgpu");
  assert.deepEqual(await place.names("webgpu"), [...await place.names("cpu"), "kernels.json"].sort());
  const [cpu, webgpu] = [await place.metrics("cpu"), await place.metrics("webgpu")];
  assert.deepEqual(values(webgpu, "step"), values(cpu, "step"));
  for (const name of ["train_loss", "val_loss", "test_loss"]) {
    assertNear(values(webgpu, name), values(cpu, name), 0.01);
  }
  // A resumed run keeps its kernels, whatever would be chosen now.
  const { adapter, calls } = await place.json("webgpu/kernels.json");
  const [call] = Object.keys(calls).filter((call) => call.startsWith("conv2dWeightGradient"));
  const kept = { adapter, calls: { ...calls, [call]: "workgroups 16x64x16" } };
  await place.write("webgpu/kernels.json", kept);
  await place.succeed("train", "--resume webgpu --max-steps 7 --schedule constant --lr 1.6e-8");
  assert.deepEqual(await place.json("webgpu/kernels.json"), kept);
}, noAdapter);

function assertNear(actual: readonly number[], expected: readonly number[], tolerance: number): void {
  const near = actual.length === expected.length &&
    actual.every((value, i) => Math.abs(value - expected[i]) <= tolerance * Math.abs(expected[i]));
  assert.ok(near && actual.length > 0, `${actual} instead of ${expected}`);
}

async function assertFinite(place: Workplace, run: string): Promise<void> {
  for (const name of (await place.names(run)).filter((name) => name.endsWith(".safetensors"))) {
    const { tensors } = decodeSafetensors(await place.read(run, name), name);
    assert.ok(tensors.values().every(({ data }) => data.every(Number.isFinite)), name);
  }
}

testTask("train stops when its loss or weights are NaN, and saves finite weights", async (place) => {
  const flags = `${bareRun} --clip 0 --optimizer sgd --schedule constant --ema 0`;
  const nan = (step: number) => `The loss is NaN at step ${step} \\(epoch 1, images (\\d+, ){7}\\d+\\): `;
  const good = "the last good checkpoint is 1/last.safetensors, step [12]; ";
  const cases = {
    "--lr 1e30 --warm-up 0": `${nan(2)}no checkpoint has been saved; `,
    "--lr 1e30 --warm-up 0.5 --checkpoint-minutes 0": nan(3) + good,
    // The loss is still finite.
    "--lr 1e39 --warm-up 0 --max-steps 1":
      "The weights are NaN or infinite after step 1: no checkpoint has been saved; ",
  };
  for (const [i, [rate, says]] of Object.entries(cases).entries()) {
    const { code, stderr } = await place.run("train:base", `${flags} ${rate} --out ${i}`);
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`\nTrainingError: ${says}try a smaller --lr or --clip 1\\n$`));
    await assertFinite(place, `${i}`);
  }
  assert.deepEqual(await place.names("0"), ["config.json", "environment.json", "run.json"]);
});

const pixels = imageSize ** 2;

/** Mean flow-matching loss of a checkpoint on images of an IDX file, by its formula. */
async function lossOf(checkpoint: string, file: string, images: Uint32Array, seed: number): Promise<number> {
  const { model } = loadCheckpoint(await Deno.readFile(checkpoint), checkpoint);
  const bytes = (await Deno.readFile(file)).subarray(16);
  const N = 8;
  let sum = 0;
  for (let start = 0; start < images.length; start += N) {
    const shape = [N, 1, imageSize, imageSize];
    const x0 = randomNormal(tensor(Uint32Array.of(seed, 4, start / N)), shape);
    const t = randomUniform(tensor(Uint32Array.of(seed, 5, start / N)), [N]);
    const x1 = Float32Array.from({ length: N * pixels }, (_, i) => {
      const image = images[start + Math.floor(i / pixels)] ?? images[start];
      return 2 * bytes[image * pixels + i % pixels] / 255 - 1;
    });
    const share = reshape(t, [N, 1, 1, 1]);
    const xt = add(multiply(share, tensor(x1, shape)), multiply(add(multiply(share, -1), 1), x0));
    const v = await model.velocity(xt, t).read();
    const noise = await x0.read();
    const count = Math.min(N, images.length - start) * pixels;
    for (let i = 0; i < count; i++) sum += (v[i] - (x1[i] - noise[i])) ** 2;
  }
  return sum / (images.length * pixels);
}

testTask("train measures and draws the images that it should, by its averaged weights", async (place) => {
  const flags = `${tinyNetwork} --max-minutes 0 --max-steps 6 --lr 0.02 --warm-up 0 --ema 0.8 --seed 7 ` +
    "--val-fraction 0.4 --no-conditional --guidance 1";
  const pictures =
    "--samples 5 --solver heun:steps=2 --sample-epochs 0 --flow-samples 2 --flow-steps 4 --flow-frames 2 --path-samples 6";
  await place.succeed("train:residual", `${flags} ${noPictures} --log-every 3 --out all`);
  const fewer = "--log-every 1 --val-batches 2 --test-batches 1";
  await place.succeed("train:residual", `${flags} ${pictures} ${fewer} --out few`);
  const [all, few] = [await place.metrics("all"), await place.metrics("few")];
  const each = values(few, "train_loss");
  const mean = (losses: number[]) => losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  assertNear(values(all, "train_loss"), [mean(each.slice(0, 3)), mean(each.slice(3))], 1e-12);

  await init({ device: "cpu" });
  const { validation } = splitImages(96, { seed: 7, valFraction: 0.4, trainLimit: 0, batchSize: 8 });
  const data = (name: string) => place.file("data", name);
  const [ema, last] = ["ema", "last"].map((name) => place.file("few", `${name}.safetensors`)); // the same in both runs
  const test = shuffled(24);
  const measured = [[all, validation, test], [few, validation.slice(0, 16), test.slice(0, 8)]] as const;
  for (const [metrics, images, tested] of measured) {
    const found = [...values(metrics, "val_loss").slice(-1), ...values(metrics, "test_loss")];
    const valLoss = await lossOf(ema, data(IDX_NAMES.trainImages), images, 7);
    assertNear(found, [valLoss, await lossOf(ema, data(IDX_NAMES.testImages), tested, 7)], 1e-5);
  }
  // The weights of the last step would give another loss.
  const plain = await lossOf(last, data(IDX_NAMES.testImages), test, 7);
  assert.ok(Math.abs(plain - values(all, "test_loss")[0]) > 1e-4, `${plain}`);
  assert.equal(await place.digest("all", "best.safetensors"), await place.digest("all", "ema.safetensors"));

  const drawing = "--count 5 --seed 7 --solver heun:steps=2 --device cpu";
  for (const name of ["ema", "last"]) {
    await place.succeed("sample", `--checkpoint few/${name}.safetensors ${drawing} --out ${name}.png`);
  }
  const own = await place.digest("few", "samples.png");
  assert.equal(own, await place.digest("ema.png"));
  assert.notEqual(own, await place.digest("last.png"));
  await init({ device: "cpu" });
  const { model } = loadCheckpoint(await place.read("few", "ema.safetensors"), "ema");
  const how = { shape: [1, imageSize, imageSize], seed: 7, solver: "euler" } as const;
  const expected = await Array.fromAsync(trajectory(model, { ...how, count: 2, steps: 4 }));
  for (const { k, trajectory } of await readTrajectories(place.file("few"))) {
    expected.forEach(({ image, velocity }, m) => {
      const part = (values: Float32Array) => values.subarray((k - 1) * pixels, k * pixels);
      const stored = (values: Float32Array) => values.subarray(m * pixels, (m + 1) * pixels);
      assertClose(stored(trajectory.image), part(image).map((x) => (x + 1) / 2), 1e-6);
      if (velocity) assertClose(stored(trajectory.velocity), part(velocity).map((v) => v / 2), 1e-6);
    });
  }
  const paths = await readPlaneTrajectories(place.file("few"));
  const ends = await sample(model, { ...how, count: 6, steps: 10 }).read();
  assertClose(paths!.image, ends.map((x) => (x + 1) / 2), 1e-5);
});
