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
  zeros,
} from "../../../kernels/mod.ts";
import {
  batchSource,
  Dropout,
  flowMatching,
  HeldOutLoss,
  Linear,
  loadState,
  lossOf,
  Module,
  randomInitialiser,
  sample,
  Sequential,
  streams,
  Trainer,
  withDropout,
} from "../../../models/mod.ts";
import { assertClose, testOnCpu, testOnDevices } from "../../testing.ts";
import { assertSameNumbers } from "../../same_numbers.ts";

const ones = (count: number) => tensor(new Float32Array(count).fill(1));

/** What remains of ones after the dropout with a stream, from its definition. */
function kept(probability: number, stream: number, step: number, count: number): number[] {
  const drawn = uniforms(46020, streams.dropout + stream, step, count);
  return Array.from(drawn, (u) => u < Math.fround(probability) ? 0 : 1 / (1 - probability));
}

testOnDevices(
  "Dropout draws by seed, step and layer, the same in a recorded step as outside one",
  async () => {
    const [dropout, other] = [new Dropout(0.25), new Dropout(0.5)];
    const x = ones(1000);
    let step = 0;
    const run = () =>
      withDropout(
        () => ({ seed: 46020, step }),
        () => [dropout.forward(x), other.forward(x), dropout.forward(x)],
      );
    const recorded = record(run);
    for (step of [0, 3, 0]) {
      recorded.run();
      for (const outputs of [recorded.result, run()]) {
        for (const [layer, probability] of [0.25, 0.5, 0.25].entries()) {
          assertClose(await outputs[layer].read(), kept(probability, layer, step, 1000), 1e-6);
        }
      }
    }
    const values = await recorded.result[0].read();
    const share = values.filter((value) => value === 0).length / values.length;
    assert.ok(Math.abs(share - 0.25) < 0.05, `dropped ${share}`);
  },
);

testOnDevices("the gradient of Dropout passes where x passed, with the same scale", async () => {
  const x = ones(64);
  const y = withDropout(() => ({ seed: 46020, step: 5 }), () => new Dropout(0.4).forward(x));
  const [dx] = gradients(sum(y), [x]);
  assertSameNumbers(await dx.read(), await y.read());
});

testOnDevices("Dropout is off outside training", async () => {
  const dropout = new Dropout(0.9);
  const x = ones(20);
  withDropout(() => ({ seed: 1, step: 0 }), () => dropout.forward(x));
  assert.equal(dropout.forward(x), x);
  assert.throws(() =>
    withDropout(() => ({ seed: 1, step: 0 }), () => {
      throw new Error("a failure inside");
    })
  );
  assert.equal(dropout.forward(x), x);
  assert.deepEqual(
    await withDropout(() => ({ seed: 1, step: 0 }), () => new Dropout(0).forward(x)).read(),
    await x.read(),
  );
});

class Field extends Module {
  readonly layers: Sequential;

  constructor(probability: number) {
    super();
    const made = randomInitialiser(1);
    this.layers = new Sequential(new Linear(2, 16, made), new Dropout(probability), new Linear(16, 2, made));
  }

  velocity(x: Tensor): Tensor {
    return this.layers.forward(x);
  }
}

/** Losses of steps, and the state after them. */
async function train(trainer: Trainer, steps: number) {
  for (const end = trainer.step + steps; trainer.step < end;) {
    trainer.queueStep(Uint32Array.of(trainer.step % 2, 2, 3), 0.01);
  }
  return { losses: await trainer.losses(), state: await trainer.state() };
}

testOnDevices("Trainer drops different elements in each step, and resumes to the same bits", async () => {
  const source = batchSource(tensor([3, 4, 5, 6, 7, 8, 9, 10], [4, 2]));
  const trainer = (probability: number) => {
    const model = new Field(probability);
    return { model, made: new Trainer(model, source, { batchSize: 3, seed: 1, learningRate: 0.01 }) };
  };
  const whole = await train(trainer(0.5).made, 6);
  const { losses: [first] } = await train(trainer(0).made, 1);
  assert.notEqual(first, whole.losses[0]);
  const begun = await train(trainer(0.5).made, 3);
  const { made, model } = trainer(0.5);
  made.restore(begun.state, "the state");
  assertSameNumbers(await train(made, 3), { losses: whole.losses.slice(3), state: whole.state });
  // Neither validation nor samples drop anything, so they repeat.
  const held = new HeldOutLoss(model, source, { batchSize: 4, seed: 1 });
  const measure = async () => [...(await held.losses(Uint32Array.of(0, 1, 2, 3))).loss];
  assert.deepEqual(await measure(), await measure());
  const plain = new Field(0);
  loadState(plain, whole.state.parameters, "the state");
  const x0 = zeros([5, 2]);
  assertSameNumbers(await sample(model, { x0 }).read(), await sample(plain, { x0 }).read());
});

testOnDevices("what Trainer drops depends on its seed and the number of the step", async () => {
  const model = new Field(0.5);
  const source = batchSource(tensor([3, 4, 5, 6], [2, 2]));
  const trainer = new Trainer(model, source, { batchSize: 2, seed: 7, learningRate: 0 });
  for (let step = 0; step < 3; step++) {
    const key = (stream: number) => tensor(Uint32Array.of(7, stream, step));
    const x1 = tensor([3, 4, 5, 6], [2, 2]);
    const [x0, t] = [randomNormal(key(streams.noise), x1.shape), randomUniform(key(streams.time), [2])];
    const loss = withDropout(() => ({ seed: 7, step }), () => lossOf(flowMatching, model, { x0, x1, t }));
    trainer.queueStep(Uint32Array.of(0, 1), 0);
    assertClose(await trainer.losses(), await loss.read(), 1e-6);
  }
});

testOnCpu("Dropout refuses probabilities that leave nothing", () => {
  for (const probability of [-0.1, 1, NaN]) {
    assert.throws(() => new Dropout(probability), {
      name: "RangeError",
      message: `Cannot make a Dropout: probability is ${probability} (expected a number from 0 to below 1)`,
    });
  }
});
