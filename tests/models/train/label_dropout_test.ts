import assert from "node:assert/strict";
import { type Tensor, tensor } from "../../../kernels/mod.ts";
import { batchSource, createModel, fit, FitError, stateOf, Trainer } from "../../../models/mod.ts";
import { testOnDevices } from "../../testing.ts";
import { LabelDropout } from "../../../models/train/pair_draw.ts";

const none = 10;

async function read(labels: Tensor): Promise<number[]> {
  return [...await labels.read()];
}

testOnDevices("LabelDropout.apply() drops a tenth of the labels, the same for the same step", async () => {
  const N = 20_000;
  const labels = Uint32Array.from({ length: N }, (_, i) => i % 10);
  const dropout = new LabelDropout(0.1, none);
  const at = async (seed: number, step: number) => {
    dropout.write(seed, step);
    return await read(dropout.apply(tensor(labels)));
  };
  const first = await at(46020, 7);
  assert.ok(first.every((label, i) => label === none || label === labels[i]));
  const dropped = first.filter((label) => label === none).length;
  const deviation = Math.sqrt(0.1 * 0.9 * N);
  assert.ok(Math.abs(dropped - 0.1 * N) < 4 * deviation, `${dropped} of ${N} dropped`);
  assert.deepEqual(await at(46020, 7), first);
  assert.notDeepEqual(await at(46020, 8), first);
  assert.notDeepEqual(await at(46021, 7), first);
});

testOnDevices("LabelDropout.apply() drops none with probability 0 and all with 1", async () => {
  const labels = tensor(Uint32Array.of(3, 1, 4));
  assert.deepEqual(await read(new LabelDropout(0, none).apply(labels)), [3, 1, 4]);
  assert.deepEqual(await read(new LabelDropout(1, none).apply(labels)), [none, none, none]);
  assert.throws(() => new LabelDropout(1.5, none), {
    message: "Cannot drop labels with probability 1.5 (expected 0 to 1)",
  });
});

const config = { type: "UNet_FM", filters: [2, 4], tEmb: 4, classes: 2 } as const;
const x1 = () => tensor(Float32Array.from({ length: 6 * 16 }, (_, i) => Math.sin(i)), [6, 1, 4, 4]);
const given = () => tensor(Uint32Array.of(0, 1, 0, 1, 1, 0));

testOnDevices(
  "fit() that drops all labels trains the row of none alone; without dropout, the others",
  async () => {
    for (const labelDropout of [0, 1]) {
      const model = createModel(config, 1);
      const before = (await stateOf(model)).get("label_emb.weight")!.data.slice();
      // Without weight decay, which moves every row.
      await fit(model, x1(), { steps: 3, batchSize: 6, condition: given(), labelDropout, optimizer: "adam" });
      const after = (await stateOf(model)).get("label_emb.weight")!.data;
      const moved = [0, 1, 2].map((row) =>
        after.subarray(4 * row, 4 * row + 4).some((v, i) => v !== before[4 * row + i])
      );
      assert.deepEqual(moved, labelDropout === 1 ? [false, false, true] : [true, true, false]);
    }
  },
);

testOnDevices("label dropout needs labels, and a network with classes", async () => {
  const dropped = { steps: 1, labelDropout: 0.5 };
  const withClasses = createModel(config, 1);
  await assert.rejects(
    fit(withClasses, x1(), dropped),
    new FitError("Cannot train with labelDropout: there are no labels (expected them as `condition`)"),
  );
  const without = createModel({ ...config, classes: 0 }, 1);
  await assert.rejects(fit(without, x1(), { ...dropped, condition: given() }), {
    name: "TypeError",
    message: "Cannot drop labels or guide: the network has no classes (expected one made with `classes`)",
  });
  const options = { batchSize: 2, seed: 1, learningRate: 0.1, labelDropout: 0.5 };
  assert.throws(
    () => new Trainer(withClasses, batchSource(x1()), options).queueStep(Uint32Array.of(0, 1), 0.1),
    {
      name: "TypeError",
      message: "Cannot drop labels: the data has none (expected labels as its condition)",
    },
  );
});
