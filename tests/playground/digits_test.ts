import assert from "node:assert/strict";
import { halved, type LabelledDigits } from "../../playground/digits_parts.ts";
import { DigitsTraining } from "../../playground/digits_training.ts";
import { openDevice, rateAt, weightsDigest } from "../../playground/plane_training.ts";
import { defaults } from "../../playground/settings.ts";
import * as flow from "../../web/mod.ts";
import { assertClose } from "../testing.ts";
import { digitsOfPage } from "./opened_page.ts";

const read = (name: string) =>
  Deno.readFile(new URL(`../../checkpoints/${name}.safetensors`, import.meta.url));
const data = await digitsOfPage(96, 16);
const pause = () => Promise.resolve();

Deno.test("halved() keeps all weights to three digits, in half the bytes", async () => {
  const whole = await read("judge_mnist");
  const half = halved(whole);
  assert.ok(half.length < 0.51 * whole.length);
  const [before, after] = [whole, half].map((file) => flow.decodeSafetensors(file, "a file"));
  assert.deepEqual(after.metadata, before.metadata);
  for (const [name, { shape, data }] of before.tensors) {
    const kept = after.tensors.get(name)!;
    assert.deepEqual(kept.shape, shape);
    kept.data.forEach((value, i) => assert.ok(Math.abs(value - data[i]) <= 5e-4 * Math.abs(data[i]) + 1e-7));
  }
});

Deno.test("the page's checkpoint draws digits that its judge recognises, and paint changes the result", async () => {
  await openDevice(flow, 1);
  const training = new DigitsTraining(flow, data, defaults);
  const { side, times, many, one, whole, nearest, seen } = await training.draw(pause);
  assert.deepEqual([side, times.length, many.length], [28, 11, 11 * 7840]);
  const right = seen.filter(([label], n) => label === n).length;
  assert.ok(right >= 9, `${right} of 10`);
  const ends = many.subarray(-7840);
  const grain = (images: Float32Array) => images.filter((value) => value > 0.2 && value < 0.8).length;
  assert.ok(grain(one) > 1.3 * grain(ends), "one step is blurred");
  assert.ok(grain(whole!) < grain(one), "a learned whole step is not blurred");
  assert.equal(nearest.length, 7840);

  const [bits, error] = await training.bits(pause);
  assert.ok(bits > 2.3 && bits < 2.8 && error > 0.02 && error < 0.2, `${bits} ± ${error} bits per dimension`);

  const at = many.slice(6 * 7840 + 3 * 784, 6 * 7840 + 4 * 784);
  const plain = await training.lead(at, times[6], 3);
  const painted = at.map((value, i) => i % 28 > 12 && i % 28 < 16 ? 1 : value);
  const led = await training.lead(painted, times[6], 3);
  const change = led.reduce((sum, value, i) => sum + Math.abs(value - plain[i]), 0);
  assert.ok(change > 20, `${change}`);
});

Deno.test("DigitsTraining takes steps, measures held-out images, and continues from a state", async () => {
  await openDevice(flow, 1);
  const make = (start: "checkpoint" | "blank14", digit_steps: number) =>
    new DigitsTraining(flow, data, { ...defaults, start, digit_steps });
  /** The losses, and the held-out loss before and after. */
  const train = async (training: DigitsTraining) => {
    const before = await training.heldOut();
    const losses: number[] = [];
    while (!training.done) losses.push(...await training.train(1000));
    return { losses, before, after: await training.heldOut() };
  };
  const more = await train(make("checkpoint", 3));
  assert.ok(more.losses.every((loss) => loss < 0.4) && Math.abs(more.after - more.before) < 0.02);
  const training = make("blank14", 8);
  const { losses, before, after } = await train(training);
  assert.equal(training.step, 8);
  assert.ok(losses.at(-1)! < losses[0] && after < before, `${before} to ${after}`);
  const [again, restored] = [make("blank14", 8), make("blank14", 8)];
  for (let i = 0; i < 3; i++) await again.train(1000, 1);
  restored.restore(await again.state());
  assert.equal(restored.step, 3);
  while (!restored.done) await restored.train(1000);
  assert.equal(await restored.digest(), await training.digest(), "restored halfway");
});

Deno.test("DigitsTraining measures, draws and paints with the averaged weights of its training", async () => {
  await openDevice(flow, 1);
  const { fromPixels, guided, HeldOutLoss, meanLoss, noise, Sampler, tensor, toPixels } = flow;
  const training = new DigitsTraining(flow, data, { seed: 5, start: "blank14", digit_steps: 6 });
  while (!training.done) await training.train(1000);
  const { info } = flow.loadCheckpoint(data.flow, "the flow of the page");
  const { normalization } = info;

  const [side, P] = [14, 196];
  /** The means of four pixels, as bytes. */
  const small = ({ images }: LabelledDigits) =>
    Float32Array.from({ length: images.length / 4 }, (_, i) => {
      const [n, row, column] = [Math.floor(i / P), Math.floor(i / side) % side, i % side];
      const four = [0, 1, 28, 29].map((away) => images[784 * n + 56 * row + 2 * column + away]);
      return Math.round(four.reduce((sum, value) => sum + value) / 4) / 255;
    });
  const config = { ...(info.config as flow.UNetModelOptions), filters: [8, 16, 32], tEmb: 32 };
  const model = flow.createModel(config, 5);
  const all = flow.batchSource({
    x1: tensor(fromPixels(small(data.train), normalization), [96, 1, side, side]),
    condition: tensor(Uint32Array.from(data.train.labels)),
  });
  const options = { batchSize: 32, seed: 5, learningRate: 2e-3, ema: 0.99, labelDropout: 0.1 };
  const trainer = new flow.Trainer(model, all, options);
  const order = new flow.BatchOrder(Uint32Array.from({ length: 96 }, (_, i) => i), 32, 5);
  for (let step = 0; step < 6; step++) trainer.queueStep(order.batch(step), rateAt(2e-3, step));
  await trainer.losses();
  flow.shareParameters(flow.namedParameters(model), trainer.averaged);
  const averaged = [...(await flow.stateOf(model)).values()].map(({ data }) => data);
  assert.equal(await training.digest(), weightsDigest(averaged), "trained by the library alone");

  const labels = Uint32Array.from(data.heldOut.labels);
  const x1 = tensor(fromPixels(small(data.heldOut), normalization), [16, 1, side, side]);
  const condition = tensor(labels);
  const held = new HeldOutLoss(model, flow.batchSource({ x1, condition }), { batchSize: 32, seed: 0 });
  const loss = meanLoss(await held.losses(labels.map((_, i) => i)));
  assertClose([await training.heldOut()], [loss], 1e-5);
  const { mean, standardError } = await flow.bitsPerDimension(model, x1, {
    normalization,
    condition,
    rtol: 1e-2,
    batch: 8,
  });
  assertClose(await training.bits(pause), [mean, standardError], 1e-5);

  const { times, many, one, nearest, whole } = await training.draw(pause);
  const field = guided(model, { scale: 1.4, none: 10 });
  const solve = async (x: flow.Tensor, classes: readonly number[], steps: number, from = 0) => {
    const sampler = new Sampler(field, x.shape, {
      solver: "euler",
      steps,
      condition: tensor(Uint32Array.from(classes)),
    });
    return toPixels(await sampler.run(x, { from }).read(), normalization);
  };
  const digits = Array.from({ length: 10 }, (_, n) => n);
  const x0 = noise(5, [10, 1, side, side]);
  const ends = await solve(x0, digits, 10);
  assertClose(many.subarray(-10 * P), ends, 1e-5);
  assertClose(many.subarray(0, 10 * P), toPixels(await x0.read(), normalization), 1e-6);
  assertClose(times, digits.map((n) => n / 10).concat(1), 1e-6);
  assertClose(one, await solve(x0, digits, 1), 1e-5);
  assert.equal(whole, undefined, "there is no one-step network of this size");
  const at = many.slice((6 * 10 + 4) * P, (6 * 10 + 5) * P);
  const x = tensor(fromPixels(at, normalization), [1, 1, side, side]);
  assertClose(await training.lead(at, times[6], 3), await solve(x, [3], 10, times[6]), 1e-5);

  const known = small(data.train);
  for (const n of digits) {
    const sample = ends.subarray(n * P, (n + 1) * P);
    const away = Array.from(
      { length: known.length / P },
      (_, m) => sample.reduce((sum, value, i) => sum + (value - known[m * P + i]) ** 2, 0),
    );
    const best = away.indexOf(Math.min(...away));
    assert.deepEqual(nearest.subarray(n * P, (n + 1) * P), known.subarray(best * P, (best + 1) * P), `${n}`);
  }
});
