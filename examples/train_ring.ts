/** Defines a velocity network, trains it to move noise onto a ring, and prints the samples' mean distance to it. */
import * as flow from "../mod.ts";

class RingField extends flow.Module {
  inner = new flow.Linear(3, 128);
  outer = new flow.Linear(128, 2);
  velocity = (x: flow.Tensor, t: flow.Tensor) =>
    this.outer.forward(flow.silu(this.inner.forward(flow.concat([x, flow.reshape(t, [t.size, 1])], 1))));
}

await flow.init();
const field = new RingField();
const angles = Array.from({ length: 512 }, (_, i) => i * Math.PI / 256);
const ring = flow.tensor(angles.flatMap((angle) => [Math.cos(angle), Math.sin(angle)]), [512, 2]);
await flow.fit(field, ring, { steps: 2000, learningRate: flow.oneCycleSchedule(0.03) });
const points = await flow.sample(field, { count: 512 }).read();
const away = angles.map((_, i) => Math.abs(1 - Math.hypot(points[2 * i], points[2 * i + 1])));
console.log("mean distance from the ring", away.reduce((sum, distance) => sum + distance) / 512);
