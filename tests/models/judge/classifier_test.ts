import assert from "node:assert/strict";
import {
  argmax,
  conv2d,
  crossEntropy,
  gradients,
  record,
  relu,
  reshape,
  tensor,
  uniforms,
  withDevice,
} from "../../../kernels/mod.ts";
import {
  Classifier,
  type ClassifierOptions,
  judgeNames,
  namedParameters,
  noise,
  optimizer,
  randomInitialiser,
} from "../../../models/mod.ts";
import { assertClose, testOnCpu, testOnDevices } from "../../testing.ts";

const options = (channels: number, height: number, width: number, classes = 10): ClassifierOptions => {
  return { classes, channels, height, width };
};

testOnDevices("Classifier.forward() takes any image size and number of classes", async (device) => {
  const sizes = [[1, 28, 28, 10], [3, 32, 32, 7], [3, 5, 9, 300], [1, 1, 4, 2], [2, 1, 1, 2]];
  const cases = judgeNames.flatMap((name) => sizes.map((size) => ({ name, size })));
  for (const { name, size: [channels, height, width, classes] } of cases) {
    const { logits, features, faults, expected } = withDevice(device, () => {
      const sized = { ...options(channels, height, width, classes), name };
      const model = new Classifier(sized, randomInitialiser(1));
      const output = model.forward(noise(1, [3, channels, height, width]));
      return { ...output, expected: model.last.forward(output.features) };
    });
    assert.deepEqual([logits.shape, features.shape], [[3, classes], [3, 84]]);
    assert.deepEqual(faults?.shape, name === "vgg" ? [3, 2] : undefined);
    assertClose(await logits.read(), await expected.read(), 1e-6);
    const values = await features.read();
    assert.ok(values.every((value) => value >= 0) && values.some((value) => value > 0));
  }
});

testOnCpu("Classifier refuses invalid sizes, and images of another size", () => {
  const sizes: readonly (readonly [changes: Partial<ClassifierOptions>, message: string])[] = [
    [{ classes: 1 }, "classes is 1 (expected a whole number of at least 2)"],
    [{ height: 0 }, "height is 0 (expected a whole number of at least 1)"],
    [{ channels: 1.5 }, "channels is 1.5 (expected a whole number of at least 1)"],
  ];
  for (const [changes, message] of sizes) {
    assert.throws(() => new Classifier({ ...options(1, 8, 8), ...changes }, randomInitialiser(1)), {
      name: "RangeError",
      message: `Cannot make a classifier: ${message}`,
    });
  }
  const model = new Classifier(options(1, 8, 8), randomInitialiser(1));
  for (const shape of [[1, 3, 8, 8], [1, 1, 8, 9], [8, 8]]) {
    assert.throws(() => model.forward(noise(1, shape)), {
      name: "ShapeError",
      message: `Cannot classify f32[${shape.join(", ")}] (expected f32[N, 1, 8, 8])`,
    });
  }
});

/** Noisy images of a horizontal, vertical or diagonal bar, and their labels. */
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

testOnCpu("Classifier learns by crossEntropy(), and generalises to new images", async () => {
  const model = new Classifier(options(1, 8, 8, 3), randomInitialiser(1));
  const parameters = namedParameters(model);
  const rule = optimizer("adam", parameters, { learningRate: 0.003 });
  const train = bars(1, 96), test = bars(2, 60);
  const losses: number[] = [];
  const step = record(() => {
    const loss = crossEntropy(model.forward(train.x).logits, train.labels);
    rule.update(gradients(loss, [...parameters.values()]));
    return loss;
  });
  for (let i = 0; i < 60; i++) {
    rule.beforeStep();
    step.run();
    if (i % 59 === 0) losses.push((await step.result.read())[0]);
  }
  assert.ok(Math.abs(losses[0] - Math.log(3)) < 0.2 && losses[1] < 0.1, `${losses}`);
  const classes = await test.labels.readWords();
  const predicted = await argmax(model.forward(test.x).logits, 1).readWords();
  const right = predicted.filter((label, n) => label === classes[n]).length;
  assert.ok(right >= 57, `${right} of 60`);
});

testOnDevices("the vgg classifier averages each 2x2 window, and drops an odd row or column", async () => {
  const model = new Classifier({ ...options(1, 3, 5, 2), name: "vgg" }, randomInitialiser(1));
  const x = noise(1, [1, 1, 3, 5]);
  const { weight, bias } = model.convs[0];
  const level = relu(model.convs[1].forward(relu(conv2d(x, weight, bias, { padding: 1 }))));
  const [values, pooled] = [await level.read(), [] as number[]];
  for (let c = 0; c < 8; c++) {
    for (const w of [0, 2]) {
      const at = (h: number, w: number) => values[(c * 3 + h) * 5 + w];
      pooled.push((at(0, w) + at(0, w + 1) + at(1, w) + at(1, w + 1)) / 4);
    }
  }
  // The following levels see one row of two pixels, which cannot be halved.
  let y = tensor(Float32Array.from(pooled), [1, 8, 1, 2]);
  for (const conv of model.convs.slice(2)) y = relu(conv.forward(y));
  const expected = relu(model.hidden.forward(reshape(y, [1, 64])));
  assertClose(await model.forward(x).features.read(), await expected.read(), 1e-5);
});
