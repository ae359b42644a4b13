import assert from "node:assert/strict";
import {
  gradients,
  randomNormal,
  randomUniform,
  record,
  sum,
  type Tensor,
  tensor,
  uniforms,
} from "../../../kernels/mod.ts";
import * as models from "../../../models/mod.ts";
import { assertSameNumbers } from "../../same_numbers.ts";
import { assertClose, testOnCpu, testOnDevices } from "../../testing.ts";
import { flowMatching, lossOf } from "../../../models/flow/objective.ts";

const { batchSource, Dropout, Linear, streams, Trainer, withDropout } = models;
const ones = (count: number) => tensor(new Float32Array(count).fill(1));

testOnDevices(
  "Dropout draws by seed, step and layer, the same in a recorded step as outside one",
  async () => {
    const [dropout, other] = [new Dropout(0.25), new Dropout(0.5)], x = ones(1000);
    let step = 0;
    const layers = () => [dropout.forward(x), other.forward(x), dropout.forward(x)];
    const run = () => withDropout(() => ({ seed: 46020, step }), layers);
    const recorded = record(run);
    for (step of [0, 3, 0]) {
      recorded.run();
      for (const outputs of [recorded.result, run()]) {
        for (const [layer, probability] of [0.25, 0.5, 0.25].entries()) {
          const drawn = uniforms(46020, streams.dropout + layer, step, 1000);
          const expected = drawn.map((u) => u < Math.fround(probability) ? 0 : 1 / (1 - probability));
          assertClose(await outputs[layer].read(), expected, 1e-6);
        }
      }
    }
  },
);

testOnCpu("Dropout is off outside training, and its gradient passes where x passed", async () => {
  const dropout = new Dropout(0.4), x = ones(64), at = () => ({ seed: 46020, step: 5 });
  const y = withDropout(at, () => dropout.forward(x));
  assertSameNumbers(await gradients(sum(y), [x])[0].read(), await y.read());
  assert.equal(dropout.forward(x), x);
  assert.throws(() =>
    withDropout(at, () => {
      throw new Error("a failure inside");
    })
  );
  assert.equal(dropout.forward(x), x);
  assertSameNumbers(await withDropout(at, () => new Dropout(0).forward(x)).read(), await x.read());
  for (const probability of [-0.1, 1, NaN]) {
    assert.throws(() => new Dropout(probability), {
      name: "RangeError",
      message: `Cannot make a Dropout: probability is ${probability} (expected a number from 0 to below 1)`,
    });
  }
});

class Field extends models.Module {
  readonly layers: models.Sequential;

  constructor(probability: number) {
    super();
    const made = models.randomInitialiser(1);
    this.layers = new models.Sequential(
      new Linear(2, 16, made),
      new Dropout(probability),
      new Linear(16, 2, made),
    );
  }

  velocity(x: Tensor): Tensor {
    return this.layers.forward(x);
  }
}
const x1 = () => tensor([3, 4, 5, 6, 7, 8, 9, 10], [4, 2]);
const trainerOf = (model: Field) =>
  new Trainer(model, batchSource(x1()), { batchSize: 2, seed: 7, learningRate: 0.01 });

/** Losses of steps, and the state after them. */
async function train(trainer: models.Trainer, steps: number) {
  for (const end = trainer.step + steps; trainer.step < end;) {
    trainer.queueStep(Uint32Array.of(trainer.step % 2, 2), 0.01);
  }
  return { losses: await trainer.losses(), state: await trainer.state() };
}

testOnCpu(
  "Trainer drops by its seed and the number of the step, and resumes to the same bits",
  async () => {
    const model = new Field(0.5), whole = await train(trainerOf(new Field(0.5)), 6);
    const trainer = trainerOf(model), begun = await train(trainer, 0);
    for (let step = 0; step < 3; step++) {
      const key = (stream: number) => tensor(Uint32Array.of(7, stream, step));
      const [x0, t] = [randomNormal(key(streams.noise), [2, 2]), randomUniform(key(streams.time), [2])];
      const data = tensor([...(step % 2 ? [5, 6] : [3, 4]), 7, 8], [2, 2]);
      const pairs = { x0, x1: data, t };
      const loss = withDropout(
        () => ({ seed: 7, step }),
        () => lossOf(flowMatching, model, pairs),
      );
      const expected = await loss.read();
      begun.losses.push(...(await train(trainer, 1)).losses);
      assertClose(begun.losses.slice(-1), expected, 1e-6);
    }
    assertSameNumbers(begun.losses, whole.losses.slice(0, 3));
    const other = new Field(0.5), resumed = trainerOf(other);
    resumed.restore(await trainer.state(), "the state");
    assertSameNumbers(await train(resumed, 3), { losses: whole.losses.slice(3), state: whole.state });
    // Neither validation nor samples drop anything, so they repeat.
    const held = new models.HeldOutLoss(other, batchSource(x1()), { batchSize: 4, seed: 1 });
    const measure = async () => [...(await held.losses(Uint32Array.of(0, 1, 2, 3))).loss];
    assert.deepEqual(await measure(), await measure());
    const plain = new Field(0), x0 = models.noise(3, [5, 2]);
    models.loadState(plain, whole.state.parameters, "the state");
    assertSameNumbers(await models.sample(other, { x0 }).read(), await models.sample(plain, { x0 }).read());
  },
);
