import assert from "node:assert/strict";
import {
  argmax,
  crossEntropy,
  gradients,
  maxPool2d,
  record,
  relu,
  reshape,
  type Tensor,
  tensor,
  uniforms,
} from "../../../kernels/mod.ts";
import {
  Conv2d,
  flatten,
  Linear,
  Module,
  namedParameters,
  optimizer,
  randomInitialiser,
} from "../../../models/mod.ts";
import { testOnDevices } from "../../testing.ts";

/** Two convolutions and a linear layer, for three classes of 8 x 8 pixels. */
class Classifier extends Module {
  first: Conv2d;
  second: Conv2d;
  last: Linear;

  constructor(seed: number) {
    super();
    const initialiser = randomInitialiser(seed);
    this.first = new Conv2d(1, 4, 3, initialiser);
    this.second = new Conv2d(4, 8, 3, initialiser);
    this.last = new Linear(8 * 4, 3, initialiser);
  }

  forward(x: Tensor): Tensor {
    const inner = maxPool2d(relu(this.first.forward(x)));
    const outer = maxPool2d(relu(this.second.forward(inner)));
    return this.last.forward(reshape(outer, [x.shape[0], 8 * 4]));
  }
}

/** Noisy images with a horizontal, a vertical or a diagonal bar, and which they have. */
function bars(stream: number, count: number) {
  const draw = uniforms(46020, stream, 0, count * 66);
  const labels = Uint32Array.from({ length: count }, (_, n) => n % 3);
  const pixels = Float32Array.from({ length: count * 64 }, (_, i) => {
    const n = Math.floor(i / 64), h = Math.floor(i / 8) % 8, w = i % 8;
    const at = Math.floor(8 * draw[count * 64 + n]);
    const inBar = [h === at, w === at, (h + w) % 8 === at][labels[n]];
    return (inBar ? 1 : 0) + 0.3 * (draw[i] - 0.5);
  });
  return { x: tensor(pixels, [count, 1, 8, 8]), labels: tensor(labels) };
}

testOnDevices(
  "crossEntropy() trains a classifier, which then knows images that it has not seen",
  async () => {
    const model = new Classifier(1);
    const rule = optimizer("adam", flatten(namedParameters(model)), { learningRate: 0.01 });
    const parameters = [...namedParameters(model).values()];
    const train = bars(1, 96), test = bars(2, 60);
    const losses: number[] = [];
    const step = record(() => {
      const loss = crossEntropy(model.forward(train.x), train.labels);
      rule.update(gradients(loss, parameters));
      return loss;
    });
    for (let i = 0; i < 150; i++) {
      rule.beforeStep();
      step.run();
      if (i % 149 === 0) losses.push((await step.result.read())[0]);
    }
    assert.ok(Math.abs(losses[0] - Math.log(3)) < 0.2 && losses[1] < 0.1, `${losses}`);
    const [found, expected] = [argmax(model.forward(test.x), 1), test.labels];
    const classes = await expected.readWords();
    const right = (await found.readWords()).filter((label, n) => label === classes[n]).length;
    assert.ok(right >= 57, `${right} of 60`);
  },
);
