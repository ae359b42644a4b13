/** The numbers of a run, recomputed from its files with the formulas of the docs. */

import assert from "node:assert/strict";
import { shuffled, splitImages } from "../../experiments/data/dataset.ts";
import type { TrainingConfig } from "../../experiments/cli/training.ts";
import { trainingConfig } from "../../experiments/cli/training_config.ts";
import { readPlaneTrajectories } from "../../experiments/draw/plane.ts";
import { readTrajectories } from "../../experiments/draw/trajectories.ts";
import { IDX_NAMES } from "../../experiments/data/idx.ts";
import { ImageSource } from "../../experiments/data/image_source.ts";
import { readMetrics } from "../../experiments/run/metrics_log.ts";
import { makeNetwork } from "../../experiments/training/network.ts";
import { add, init, multiply, randomNormal, randomUniform, reshape, tensor } from "../../kernels/mod.ts";
import {
  decodeSafetensors,
  encodeSafetensors,
  loadCheckpoint,
  sample,
  trajectory,
} from "../../models/mod.ts";
import { assertClose } from "../testing.ts";
import { testTask, tinyNetwork, type Workplace } from "./cli.ts";
import { assertRefused } from "./refusals.ts";
import { imageSize } from "./data/tiny_idx.ts";

const bare =
  `${tinyNetwork} --max-minutes 0 --log-every 1 --samples 0 --flow-samples 0 --path-samples 0 --no-conditional`;

async function learningRates(place: Workplace, run: string): Promise<number[]> {
  return (await place.metrics(run)).flatMap((line) => line.learning_rate as number ?? []);
}

function assertNear(actual: readonly number[], expected: readonly number[], tolerance: number): void {
  const near = actual.length === expected.length &&
    actual.every((value, i) => Math.abs(value - expected[i]) <= tolerance * Math.abs(expected[i]));
  assert.ok(near, `${actual} instead of ${expected}`);
}

testTask("train follows its schedule from the first to the last step", async (place) => {
  const down = (share: number) => (1 + Math.cos(Math.PI * share)) / 2;
  const lr = 0.01, least = lr / 25 / 1e4;
  const expected = {
    "constant --warm-up 0.5": [0, lr / 2, lr, lr, lr],
    "cosine --warm-up 0": [0, 1, 2, 3, 4].map((step) => lr * down(step / 4)),
    "one_cycle --warm-up 0.25": [
      lr / 25,
      ...[0, 1, 2, 3].map((step) => least + (lr - least) * down(step / 3)),
    ],
  };
  for (const [schedule, rates] of Object.entries(expected)) {
    const run = schedule.split(" ")[0];
    await place.succeed("train:base", `${bare} --max-steps 5 --lr ${lr} --schedule ${schedule} --out ${run}`);
    assertNear(await learningRates(place, run), rates, 1e-9);
  }
});

testTask(
  "train --resume with another length asks for a rate if its schedule follows the length",
  async (place) => {
    const start = (schedule: string, steps: number) =>
      place.succeed(
        "train:base",
        `${bare} --lr 0.01 --max-steps ${steps} --schedule ${schedule} --out ${schedule}`,
      );
    for (const schedule of ["one_cycle", "cosine"]) {
      await start(schedule, 4);
      const says =
        `TrainingError: Cannot resume ${schedule} for 8 steps: its schedule ${schedule} is laid out for 4 steps, `;
      const flags = `--resume ${schedule}`;
      await assertRefused(place, {
        flags: `${flags} --max-steps 8`,
        says: [says, "would jump from ", "(expected --lr X "],
      });
      await assertRefused(place, {
        flags: `${flags} --max-minutes 9`,
        says: [says.replace("8 steps", "9 minutes")],
      });
      await place.succeed("train:base", `${flags} --max-steps 5`); // its last rate is that of the end, too
    }
    await place.succeed("train:base", "--resume one_cycle --max-steps 8 --lr 0.002");
    assert.deepEqual((await learningRates(place, "one_cycle")).slice(5), [0.002, 0.002, 0.002]);
    await place.succeed("train:base", "--resume cosine --max-steps 8 --schedule plateau");
    assert.deepEqual((await learningRates(place, "cosine")).slice(5), [0.01, 0.01, 0.01]);
    await start("plateau", 4);
    await place.succeed("train:base", "--resume plateau --max-steps 6");
  },
);

testTask("train --resume counts the time of earlier sessions", async (place) => {
  await place.succeed("train:base", `${bare} --max-steps 3 --schedule constant --out run`);
  const path = place.file("run", "state.safetensors");
  const { tensors, metadata } = decodeSafetensors(await Deno.readFile(path), path);
  const progress = JSON.stringify({ ...JSON.parse(metadata.progress), elapsedSeconds: 1000 });
  await Deno.writeFile(path, encodeSafetensors(tensors, { ...metadata, progress }));
  const late = await place.run("train:base", "--resume run --max-steps 4 --max-minutes 16");
  assert.match(late.stderr, /^TrainingError: Nothing left to do: .* after 16.7 minutes;/);
  await place.succeed("train:base", "--resume run --max-steps 4");
  const times = (await readMetrics(place.file("run", "metrics.jsonl")))
    .flatMap(({ step, elapsed_seconds: seconds }) =>
      step === 4 && typeof seconds === "number" ? seconds : []
    );
  assert.ok(times.length > 0 && times.every((seconds) => seconds >= 1000 && seconds < 1100), `${times}`);
});

/** Mean flow-matching loss of a checkpoint on images of an IDX file, by its formula. */
async function lossOf(
  checkpoint: string,
  images: string,
  indices: Uint32Array,
  seed: number,
): Promise<number> {
  const { model } = loadCheckpoint(await Deno.readFile(checkpoint), checkpoint);
  const bytes = (await Deno.readFile(images)).subarray(16);
  const pixels = imageSize ** 2, batch = 8;
  let sum = 0;
  for (let start = 0; start < indices.length; start += batch) {
    const N = batch, shape = [N, 1, imageSize, imageSize];
    const x0 = randomNormal(tensor(Uint32Array.of(seed, 4, start / batch)), shape);
    const t = randomUniform(tensor(Uint32Array.of(seed, 5, start / batch)), [N]);
    const x1 = Float32Array.from({ length: N * pixels }, (_, i) => {
      return bytes[(indices[start + Math.floor(i / pixels)] ?? indices[start]) * pixels + i % pixels] / 255;
    });
    const share = reshape(t, [N, 1, 1, 1]);
    const xt = add(multiply(share, tensor(x1, shape)), multiply(add(multiply(share, -1), 1), x0));
    const v = await model.velocity(xt, t).read();
    const noise = await x0.read();
    const count = Math.min(N, indices.length - start) * pixels;
    for (let i = 0; i < count; i++) sum += (v[i] - (x1[i] - noise[i])) ** 2;
  }
  return sum / (indices.length * pixels);
}

testTask("train measures its averaged weights on the images that it should", async (place) => {
  const flags =
    `${bare} --max-steps 6 --normalize 0..1 --lr 0.02 --warm-up 0 --ema 0.8 --seed 7 --val-fraction 0.4`;
  await place.succeed("train:residual", `${flags} --out all --log-every 3`.replace("--log-every 1 ", ""));
  await place.succeed("train:residual", `${flags} --val-batches 2 --test-batches 1 --out few`);
  const [all, few] = [await place.metrics("all"), await place.metrics("few")];
  const values = (metrics: typeof few, name: string) => metrics.flatMap((line) => line[name] as number ?? []);
  const each = values(few, "train_loss");
  const mean = (losses: number[]) => losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  assertNear(values(all, "train_loss"), [mean(each.slice(0, 3)), mean(each.slice(3))], 1e-12);

  await init({ device: "cpu" });
  const { train, validation } = splitImages(96, { seed: 7, valFraction: 0.4, trainLimit: 0, batchSize: 8 });
  assert.deepEqual([...train, ...validation].sort((a, b) => a - b), Array.from({ length: 96 }, (_, i) => i));
  const data = (name: string) => place.file("data", name);
  const [ema, last] = ["ema", "last"].map((name) => place.file("few", `${name}.safetensors`)); // the same in both runs
  const test = shuffled(24);
  for (
    const [metrics, images, tested] of [[all, validation, test], [
      few,
      validation.slice(0, 16),
      test.slice(0, 8),
    ]] as const
  ) {
    assertNear(values(metrics, "val_loss").slice(-1), [
      await lossOf(ema, data(IDX_NAMES.trainImages), images, 7),
    ], 1e-5);
    assertNear(
      values(metrics, "test_loss"),
      [await lossOf(ema, data(IDX_NAMES.testImages), tested, 7)],
      1e-5,
    );
  }
  // The weights of the last step would give another loss.
  const plain = await lossOf(last, data(IDX_NAMES.testImages), test, 7);
  assert.ok(Math.abs(plain - values(all, "test_loss")[0]) > 1e-4, `${plain}`);
  assert.equal(await place.digest("all", "best.safetensors"), await place.digest("all", "ema.safetensors"));
});

testTask("train draws from its averaged weights, in pixels", async (place) => {
  const flags =
    `${tinyNetwork} --max-minutes 0 --max-steps 8 --lr 0.02 --warm-up 0 --ema 0.8 --seed 7 --samples 5 --no-conditional ` +
    "--guidance 1 --solver heun:steps=2 --sample-epochs 0 --flow-samples 2 --flow-steps 4 --flow-frames 2 --path-samples 6";
  await place.succeed("train:base", `${flags} --out run`);
  const drawing = "--count 5 --seed 7 --solver heun:steps=2 --device cpu";
  for (const name of ["ema", "last"]) {
    await place.succeed("sample", `--checkpoint run/${name}.safetensors ${drawing} --out ${name}.png`);
  }
  const [own, ema, last] = await Promise.all(
    ["run/samples.png", "ema.png", "last.png"].map(async (name) => (await place.read(name)).toBase64()),
  );
  assert.equal(own, ema);
  assert.notEqual(own, last);
  await init({ device: "cpu" });
  const { model } = loadCheckpoint(await place.read("run", "ema.safetensors"), "ema");
  const shape = [1, imageSize, imageSize];
  const expected = await Array.fromAsync(
    trajectory(model, { count: 2, shape, seed: 7, steps: 4, solver: "euler" }),
  );
  const pixels = imageSize ** 2;
  for (const { k, trajectory } of await readTrajectories(place.file("run"))) {
    expected.forEach(({ image, velocity }, m) => {
      const part = (values: Float32Array) => values.subarray((k - 1) * pixels, k * pixels);
      const stored = (values: Float32Array) => values.subarray(m * pixels, (m + 1) * pixels);
      assertClose(stored(trajectory.image), part(image).map((x) => (x + 1) / 2), 1e-6);
      if (velocity) assertClose(stored(trajectory.velocity), part(velocity).map((v) => v / 2), 1e-6);
    });
  }
  const paths = await readPlaneTrajectories(place.file("run"));
  const ends = await sample(model, { count: 6, shape, seed: 7, steps: 20, solver: "euler" }).read();
  assertClose(paths!.image, ends.map((x) => (x + 1) / 2), 1e-5);
});

/** Weights and moments after some steps. */
async function trained(values: Partial<TrainingConfig>, steps: number) {
  const network = { model: "base", filters: [4, 8], tEmb: 8, batchSize: 4, clip: 0, ema: 0 } as const;
  const config = trainingConfig({ ...network, ...values });
  const bytes = Uint8Array.from({ length: 8 * 64 }, (_, i) => i * 37 % 256);
  const labels = config.conditional === true
    ? { values: Uint8Array.of(0, 1, 2, 0, 1, 2, 0, 1), classes: 3 }
    : undefined;
  const size = { channels: 1, height: 8, width: 8 };
  const { trainer } = makeNetwork(config, new ImageSource(bytes, size, { scale: 2, shift: -1 }, labels));
  for (let step = 0; step < steps; step++) trainer.queueStep(Uint32Array.of(0, 1, 2, 3), config.lr);
  const { optimizer: moments } = await trainer.state();
  const of = (name: string) =>
    [...moments].flatMap(([key, { data }]) => key.startsWith(name) ? [...data] : []);
  const weights = [...(await trainer.state()).parameters.values()].flatMap(({ data }) => [...data]);
  return { weights, m: of("m."), v: of("v.") };
}

Deno.test("makeNetwork() passes on every setting of the optimizer", async () => {
  await init({ device: "cpu" });
  const norm = (values: readonly number[]) => Math.hypot(...values);
  const start = await trained({}, 0);
  const { m: gradient } = await trained({ optimizer: "sgd", weightDecay: 0 }, 1);
  const step = (after: { weights: number[] }) => after.weights.map((w, i) => w - start.weights[i]);

  const adam = await trained({ optimizer: "adam", weightDecay: 0, beta1: 0.5, beta2: 0.8 }, 1);
  assertNear([norm(adam.m)], [0.5 * norm(gradient)], 1e-4);
  assertNear([norm(adam.v)], [0.2 * norm(gradient.map((g) => g * g))], 1e-4);
  const blunt = await trained({ optimizer: "adam", weightDecay: 0, lr: 100, eps: 1e4 }, 1);
  assertNear([norm(step(blunt))], [100 * norm(gradient) / 1e4], 1e-2);
  const clipped = await trained({ optimizer: "sgd", weightDecay: 0, clip: 0.01 }, 1);
  assertNear([norm(clipped.m)], [0.01], 1e-3);
  const decayed = await trained({ optimizer: "adamw", lr: 1e-9, weightDecay: 1e7 }, 1);
  assertNear([norm(decayed.weights)], [0.99 * norm(start.weights)], 1e-4);
  const heavy = await trained({ optimizer: "sgd", weightDecay: 0, momentum: 0.5, lr: 1e-9 }, 2);
  const light = await trained({ optimizer: "sgd", weightDecay: 0, momentum: 0, lr: 1e-9 }, 2);
  assertNear([norm(heavy.m.map((b, i) => b - light.m[i]))], [0.5 * norm(gradient)], 1e-3);

  const wide = { filters: [8, 16], optimizer: "muon", lr: 1e-9, weightDecay: 0 } as const;
  const [still, ...moved] = await Promise.all(
    [[0, 0.02], [1, 0.02], [1, 0.04]].map(([steps, muonLr]) => trained({ ...wide, muonLr }, steps)),
  );
  const [slow, fast] = moved.map(({ weights }) => norm(weights.map((w, i) => w - still.weights[i])));
  assertNear([fast], [2 * slow], 1e-3);
  assert.ok(slow > 0.01, `${slow}`);
  const [kept, dropped] = await Promise.all(
    [0, 1].map((labelDropout) => trained({ conditional: true, labelDropout }, 1)),
  );
  assert.notDeepEqual(kept.weights, dropped.weights, "the labels are left out");
});
