/** Defines a velocity network, trains it to move noise onto a ring, and prints how far from it points come to lie. */
import * as flow from "../mod.ts";

const initialiser = flow.randomInitialiser(46020);
class RingField extends flow.Module {
  inner = new flow.Linear(3, 128, initialiser);
  outer = new flow.Linear(128, 2, initialiser);
  velocity = (x: flow.Tensor, t: flow.Tensor) =>
    this.outer.forward(flow.silu(this.inner.forward(flow.concat([x, flow.reshape(t, [t.size, 1])], 1))));
}

await flow.init();
const field = new RingField();
const ring = Array.from(
  { length: 512 },
  (_, i) => [Math.cos(i * Math.PI / 256), Math.sin(i * Math.PI / 256)],
);
await flow.fit(field, flow.tensor(ring.flat(), [512, 2]), { steps: 2000, learningRate: flow.oneCycle(0.03) });
const points = await flow.sample(field, { count: 1000, shape: [2], seed: 0, steps: 50 }).read();
const away = ring.map((_, i) => Math.abs(1 - Math.hypot(points[2 * i], points[2 * i + 1])));
console.log("mean distance from the ring", away.reduce((sum, distance) => sum + distance) / away.length);
