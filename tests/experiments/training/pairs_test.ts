/** Pairs of noise and images: those of a coupling, and those that a teacher draws. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { readStages } from "../../../experiments/settings/stages.ts";
import { distillationStages, PairStore } from "../../../experiments/training/distillation.ts";
import { PairedBatches } from "../../../experiments/training/loop.ts";
import {
  add,
  gatherRows,
  init,
  multiply,
  reshape,
  type Tensor,
  tensor,
  withDevice,
} from "../../../kernels/mod.ts";
import * as models from "../../../models/mod.ts";
import { pairTransport, transportPairs } from "../../../models/flow/coupling.ts";
import { hostRows } from "../../../models/train/batches.ts";
import { testInFolder } from "../../folder.ts";
import { testNeeding } from "../../permissions.ts";
import { upTo } from "../../refusing.ts";
import { assertSameNumbers } from "../../same_numbers.ts";
import { assertClose, testOnCpu } from "../../testing.ts";

const { batchOf, batchSource, BatchOrder, couplings, createModel, independentCoupling } = models;
const [M, P] = [60, 9];
const labels = Uint32Array.from({ length: M }, (_, m) => m % 4);
const data = hostRows(Float32Array.from({ length: M * P }, (_, i) => Math.sin(i * i)), P, labels);
const order = new BatchOrder(Uint32Array.from(upTo(M)), 16, 7);
const pairing = (coupling: models.Coupling) => new PairedBatches(order, coupling, data, 3);

testNeeding({ read: true }, "PairedBatches pairs like the coupling itself, in any bursts", async () => {
  for (const [name, { make }] of Object.entries(couplings)) {
    const coupling: models.Coupling = make();
    const expected = upTo(9).map((step) => coupling.pair(order.batch(step), { seed: 7, step }, data));
    using whole = pairing(coupling), parts = pairing(coupling);
    assert.deepEqual(await whole.batches(0, 9), expected, name);
    const found = [[0, 4], [4, 5], [5, 9]].map(([from, to]) => parts.batches(from, to));
    assert.deepEqual((await Promise.all(found)).flat(), expected, name);
    assertSameNumbers(await parts.batches(0, 2), expected.slice(0, 2)); // earlier steps again, as after trial steps
  }
});

testNeeding(
  { read: true },
  "PairedBatches.costs() averages a line's steps, also after a resume",
  async () => {
    const costsOf = async (from: number, to: number, coupling: models.Coupling = transportPairs) => {
      using batches = pairing(coupling);
      await batches.batches(from, to);
      return (await batches.costs(to))!;
    };
    const pairings = [3, 4, 5].map((step) =>
      pairTransport(transportPairs.batch(order.batch(step), { seed: 7, step }, data))
    );
    const mean = (values: number[]) => values.reduce((sum, value) => sum + value) / values.length;
    const { transport_cost: cost, independent_cost: independent } = await costsOf(0, 6);
    const expected = [mean(pairings.map(({ cost }) => cost)), mean(pairings.map((p) => p.independentCost))];
    assertClose([cost, independent], expected, 1e-9);
    assert.ok(cost < independent);
    assert.equal((await costsOf(5, 6)).transport_cost, cost, "after a resume");
    assert.deepEqual([await costsOf(0, 3, independentCoupling), await costsOf(0, 0)], [undefined, undefined]);
  },
);

const [count, classes] = [300, 3]; // in two files of 256, which is no multiple of the classes

/** Moves each image by twice the label. */
const field = {
  velocity: (x: Tensor, _t: Tensor, label?: Tensor) =>
    add(multiply(x, 0), reshape(gatherRows(tensor([0, 2, 4]), label!), [x.shape[0], 1, 1, 1])),
};

testInFolder("PairStore draws each pair by its own class, and reads what is stored", async (folder) => {
  const device = await init({ device: "cpu", threads: 1 });
  await withDevice(device, async () => {
    const fill = async () => {
      const done: number[] = [];
      const onProgress = (pairs: number) => void done.push(pairs);
      const store = new PairStore(count, [1, 1, 2], classes, 5);
      assert.ok(await store.fill(folder, field, 1, { signal: new AbortController().signal, onProgress }));
      assert.deepEqual(done, [256, 300]);
      const { x0, x1, condition } = batchOf(store.source, Uint32Array.from(upTo(count)));
      assert.deepEqual([...await condition!.readWords()], upTo(count).map((row) => row % classes));
      return { noise: await x0!.read(), images: await x1.read() };
    };
    const { noise, images } = await fill();
    const moved = [...images].map((value, i) => Math.round(value - noise[i]));
    assert.deepEqual(moved, upTo(2 * count).map((i) => 2 * (Math.floor(i / 2) % classes)));
    const [first, second] = ["part_0000", "part_0001"].map((name) =>
      join(folder, `pairs/${name}.safetensors`)
    );
    await Deno.remove(second);
    const kept = await Deno.stat(first);
    assertSameNumbers((await fill()).images, images);
    assert.deepEqual((await Deno.stat(first)).mtime, kept.mtime);
  });
  device.close();
});

/** The settings of a short distillation. */
const distilling = (stages: string) => ({
  batchSize: 2,
  seed: 1,
  length: { epochs: 0, steps: 12, minutes: 0, replans: [] },
  distillation: { teacher: "t", stages: readStages(stages), teacherGuidance: 1, maxGuidance: 1 },
});

testOnCpu("a drift stage trains `whole` whole steps before each shorter one", () => {
  const model = createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4, flowMap: true }, 1);
  const source = Object.assign(batchSource(tensor(new Float32Array(6 * 16), [6, 1, 4, 4])), { classes: 0 });
  const turns = (stages: string) => {
    const config = distilling(stages);
    const teacher = { model, info: { config: {} } };
    const given = [config, { teacher, images: Uint32Array.of(0, 1, 2, 3) }, model, source] as unknown;
    const [{ losses }] = distillationStages(...given as Parameters<typeof distillationStages>).stages;
    const kinds = [...new Set(losses)];
    return losses.map((loss) => kinds.indexOf(loss));
  };
  assert.deepEqual(turns("drift:whole=0"), [0, 1, 2]);
  assert.deepEqual(turns("drift:whole=2"), [0, 0, 1, 0, 0, 2, 0, 0, 3]);
});

testOnCpu("encoding the images of a drift stage stops at a signal", async () => {
  const model = createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4, flowMap: true }, 1);
  const source = Object.assign(batchSource(tensor(new Float32Array(300 * 16), [300, 1, 4, 4])), {
    classes: 0,
  });
  let encodings = 0;
  const encode = (x: Tensor) => (encodings++, [x]);
  const config = distilling("drift");
  const teacher = { model: { ...model, encode }, info: { config: {} } };
  const given = [config, { teacher, images: Uint32Array.from(upTo(300)) }, model, source] as unknown;
  const { prepare } = distillationStages(...given as Parameters<typeof distillationStages>);
  const stop = new AbortController();
  const encoded = async () => {
    encodings = 0;
    await prepare({ run: "", signal: stop.signal, say: () => {}, terminal: undefined });
    return encodings;
  };
  const all = await encoded();
  assert(all > 0);
  stop.abort();
  assert.equal(3 * await encoded(), all); // 128 of 300 images
});
