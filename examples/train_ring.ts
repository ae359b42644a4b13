/** Defines a velocity network of one's own and trains it to move noise onto a ring; prints how near points come. */
import * as flow from "../mod.ts";

const initialiser = flow.randomInitialiser(46020);
class RingField extends flow.Module {
  readonly inner = new flow.Linear(3, 128, initialiser);
  readonly outer = new flow.Linear(128, 2, initialiser);

  /** v(x, t): x f32[N, 2], t f32[N] -> f32[N, 2]. */
  velocity(x: flow.Tensor, t: flow.Tensor): flow.Tensor {
    const both = flow.concat([x, flow.reshape(t, [t.size, 1])], 1);
    return this.outer.forward(flow.silu(this.inner.forward(both)));
  }
}

await flow.init();
const model = new RingField();
const parameters = flow.namedParameters(model);
const adam = flow.optimizer("adam", flow.flatten(parameters), { learningRate: 0.01 });
const ring = Array.from(
  { length: 512 },
  (_, i) => [Math.cos(i * Math.PI / 256), Math.sin(i * Math.PI / 256)],
);
const x1 = flow.tensor(ring.flat(), [512, 2]);
const [noise, times] = [1, 2].map((stream) => flow.tensor(Uint32Array.of(46020, stream, 0)));
const training = flow.record(() => {
  const x0 = flow.randomNormal(noise, [512, 2]);
  const loss = flow.flowMatchingLoss(model, x0, x1, flow.randomUniform(times, [512]));
  adam.update(flow.gradients(loss, [...parameters.values()]));
});
for (let step = 0; step < 2000; step++) {
  [noise, times].forEach((key, i) => key.write(Uint32Array.of(46020, i + 1, step))); // new numbers in every step
  adam.beforeStep();
  training.run();
}

const points = await flow.sample(model, { count: 1000, shape: [2], seed: 0, steps: 50 }).read();
const distances = Array.from(
  { length: 1000 },
  (_, n) => Math.abs(1 - Math.hypot(points[2 * n], points[2 * n + 1])),
);
console.log("mean distance from the ring", distances.reduce((sum, distance) => sum + distance) / 1000);
