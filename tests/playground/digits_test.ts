import assert from "node:assert/strict";
import { type DigitsParts, halved, packedDigits, unpackedDigits } from "../../playground/digits_parts.ts";
import { DigitsTraining, nearestImages } from "../../playground/digits_training.ts";
import { openDevice } from "../../playground/plane_training.ts";
import { firstIndices } from "../../experiments/data/dataset.ts";
import { rowsOf } from "../../experiments/data/images.ts";
import { loadDataset } from "../../experiments/data/load_dataset.ts";
import { inflateSync } from "npm:fflate@0.8.3";
import { defaults } from "../../playground/settings.ts";
import * as flow from "../../web/mod.ts";

const read = (name: string) =>
  Deno.readFile(new URL(`../../checkpoints/${name}.safetensors`, import.meta.url));
const { train, test } = await loadDataset();
const first = ({ images, labels }: typeof train, count: number) => ({
  images: rowsOf(images, firstIndices(count), 784),
  labels: labels!.subarray(0, count),
});
const data: DigitsParts = {
  flow: halved(await read("mnist_classes")),
  oneStep: halved(await read("mnist_one_step")),
  judge: halved(await read("judge_mnist")),
  train: first(train, 96),
  heldOut: first(test, 16),
};
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

Deno.test("unpackedDigits() gives back what packedDigits() packs", () => {
  const { train, heldOut } = unpackedDigits(Uint8Array.from(inflateSync(packedDigits(data))));
  for (const [given, found] of [[data.train, train], [data.heldOut, heldOut]]) {
    assert.deepEqual([...found.labels], [...given.labels]);
    assert.deepEqual([...found.images], [...given.images]);
  }
});

Deno.test("the checkpoint of the page draws digits that its judge recognises, and paint changes where it leads", async () => {
  await openDevice(flow, 1);
  const training = new DigitsTraining(flow, data, defaults);
  const { side, times, many, one, whole, nearest, seen } = await training.draw(pause);
  assert.deepEqual([side, times.length, many.length], [28, 11, 11 * 7840]);
  const right = seen.filter(([label], n) => label === n).length;
  assert.ok(right >= 9, `${right} of 10`);
  const ends = many.subarray(-7840);
  const grain = (images: Float32Array) => images.filter((value) => value > 0.2 && value < 0.8).length;
  assert.ok(grain(one) > 1.3 * grain(ends), "one step is blurred");
  assert.ok(grain(whole!) < grain(one), "the network that learned the whole step is not");
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

Deno.test("a training of digits takes steps, measures other images, and saves what `sample` opens", async () => {
  await openDevice(flow, 1);
  for (const start of ["checkpoint", "blank14"] as const) {
    const training = new DigitsTraining(flow, data, { ...defaults, start, digit_steps: 12 });
    const before = await training.heldOut();
    const losses: number[] = [];
    while (!training.done) losses.push(...await training.train());
    assert.equal(training.step, 12);
    const after = await training.heldOut();
    if (start === "checkpoint") {
      assert.ok(losses.every((loss) => loss < 0.4) && Math.abs(after - before) < 0.02);
    } else assert.ok(losses.at(-1)! < losses[0] && after < before, `${before} to ${after}`);
    const { shape, info } = flow.loadCheckpoint(await training.save(), "saved");
    assert.deepEqual(shape, [1, training.side, training.side]);
    assert.equal(info.config.classes, 10);
    assert.equal((await training.draw(pause)).side, training.side);
    if (start === "checkpoint") continue;
    const again = new DigitsTraining(flow, data, { ...defaults, start, digit_steps: 12 });
    for (let i = 0; i < 5; i++) await again.train();
    const restored = new DigitsTraining(flow, data, { ...defaults, start, digit_steps: 12 });
    restored.restore(await again.state());
    assert.equal(restored.step, 5);
    while (!restored.done) await restored.train();
    assert.equal(await restored.digest(), await training.digest(), "restored in the middle");
  }
});

Deno.test("nearestImages() finds the image with the smallest sum of squared differences", () => {
  const images = Float32Array.of(0, 0, 1, 1, 0.4, 0.6);
  assert.deepEqual(
    [...nearestImages(images, Float32Array.of(0.9, 0.9, 0.3, 0.5), 2)],
    [1, 1, 0.4, 0.6].map(Math.fround),
  );
});
