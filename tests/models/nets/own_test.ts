import assert from "node:assert/strict";
import { add, reshape, type Shape, type Tensor, tensor, zeros } from "../../../kernels/mod.ts";
import {
  countParameters,
  createModel,
  guided,
  LabelEmbedding,
  Linear,
  loadCheckpoint,
  Module,
  namedParameters,
  noneOf,
  type OwnModelOptions,
  saveCheckpoint,
  stateOf,
} from "../../../models/mod.ts";
import { testOnCpu } from "../../testing.ts";
import { assertSameNumbers } from "../../same_numbers.ts";
import { optionsOf } from "../../../models/nets/networks.ts";

const shape = [1, 2, 3] as const;

/** Adds a row of the label to a linear map of the pixels. */
class Labelled extends Module {
  layer: Linear;
  labels: LabelEmbedding;

  constructor({ shape: [C, H, W], classes }: { shape: Shape; classes: number }) {
    super();
    this.layer = new Linear(C * H * W, C * H * W);
    this.labels = new LabelEmbedding({ classes, tEmb: C * H * W });
  }

  velocity(x: Tensor, t: Tensor, labels?: Tensor): Tensor {
    const h = this.layer.forward(reshape(x, [t.size, 6]));
    assert.ok(labels, "a network with classes always gets labels");
    return reshape(this.labels.forward(h, labels), x.shape);
  }
}
const settings = {
  type: "own",
  name: "labelled",
  make: Labelled,
  shape,
  classes: 2,
} satisfies OwnModelOptions;

testOnCpu("createModel() makes a custom network from the seed, like those of the library", async () => {
  const weights = async (seed: number) =>
    [...(await stateOf(createModel(settings, seed))).values()].map(({ data }) => [...data]);
  assertSameNumbers(await weights(1), await weights(1));
  assert.notDeepEqual(await weights(1), await weights(2));
  assert.equal(countParameters(settings), 6 * 6 + 6 + 3 * 6);
  const model = createModel(settings);
  assert.deepEqual([model.shape, noneOf(model), optionsOf(model)?.classes], [shape, 2, 2]);
});

testOnCpu("createModel() takes a class, a function and an arrow function", () => {
  const makers = [Labelled, function (options: never) {
    return new Labelled(options);
  }, (options: never) => new Labelled(options)];
  for (const make of makers) assert.ok(createModel({ ...settings, make }) instanceof Labelled);
});

testOnCpu("a custom network gets 'none' if there is no condition, and can be guided", async () => {
  const model = createModel(settings, 3);
  const [x, t] = [zeros([2, ...shape]), zeros([2])];
  const none = tensor(Uint32Array.of(2, 2));
  assertSameNumbers(await model.velocity(x, t).read(), await model.velocity(x, t, none).read());
  const label = tensor(Uint32Array.of(0, 1));
  const [unconditional, conditional] = [
    await model.velocity(x, t).read(),
    await model.velocity(x, t, label).read(),
  ];
  const guidedV = await guided(model, { scale: 3, none: noneOf(model) }).velocity(x, t, label).read();
  guidedV.forEach((v, i) =>
    assert.ok(Math.abs(v - (unconditional[i] + 3 * (conditional[i] - unconditional[i]))) < 1e-5)
  );
});

testOnCpu(
  "the velocity of a custom flow map is its mean velocity for d = 0, which may call the network's own velocity",
  async () => {
    class Mean extends Labelled {
      meanVelocity(x: Tensor, t: Tensor, d: Tensor, labels?: Tensor): Tensor {
        return add(this.velocity(x, t, labels), reshape(add(d, 1), [t.size, 1, 1, 1]));
      }
    }
    const [flow, map] = [false, true].map((flowMap) => createModel({ ...settings, make: Mean, flowMap }));
    assert.equal(flow.meanVelocity, undefined, "a flow has none");
    const [x, t] = [zeros([2, ...shape]), tensor([0.2, 0.7])];
    const v = await flow.velocity(x, t).read();
    assertSameNumbers(await map.velocity(x, t).read(), v.map((value) => value + 1));
    const u = await map.meanVelocity!(x, t, tensor([0, 1])).read();
    assert.deepEqual(u, v.map((value, i) => value + (i < 6 ? 1 : 2)));
    assert.throws(() => createModel({ ...settings, flowMap: true }), {
      message: /^Cannot make the network labelled: it has no method meanVelocity\(x, t, d, labels\)/,
    });
  },
);

testOnCpu("the path and the prediction of a custom network are those of its options", async () => {
  const [x, t] = [zeros([1, ...shape]), tensor(Float32Array.of(0.25))];
  const [velocity, data] = [createModel(settings, 1), createModel({ ...settings, prediction: "data" }, 1)];
  const [v, x1] = [await data.velocity(x, t).read(), await velocity.velocity(x, t).read()];
  v.forEach((value, i) => assert.ok(Math.abs(value - x1[i] / 0.75) < 1e-5, "v = (x1 - x) / (1 - t)"));
  assert.equal(createModel(settings).path, undefined);
  assert.ok(createModel({ ...settings, path: "cosine" }).path);
});

testOnCpu(
  "saveCheckpoint() and loadCheckpoint() keep a custom network, its options and its shape",
  async () => {
    class Scaled extends Labelled {
      constructor(options: { shape: Shape; classes: number; scale: number; widths: number[] }) {
        assert.deepEqual([options.scale, options.widths], [0.5, [1, 2]]);
        super(options);
      }
    }
    const options = { scale: 0.5, widths: [1, 2] };
    const digest = "0123456789abcdef".repeat(4);
    const model = createModel({ ...settings, make: Scaled, digest, options, path: "cosine" }, 5);
    const normalization = { scale: 2, shift: -1 };
    const bytes = await saveCheckpoint(model, { normalization });
    const { model: again, info, shape: drawn } = loadCheckpoint(bytes, "file", { make: Scaled });
    assertSameNumbers(await stateOf(again), await stateOf(model));
    assert.deepEqual(info.config, { ...optionsOf(model), make: undefined });
    assert.deepEqual(drawn, shape);
    assertSameNumbers(await saveCheckpoint(again), bytes);
    assert.throws(() => loadCheckpoint(bytes, "file"), {
      name: "CheckpointError",
      message:
        /^Cannot load file: its network labelled is not one of the library's \(expected its class or function/,
    });
    assert.throws(() => loadCheckpoint(bytes, "file", { make: Linear as never }), /Cannot make/);
  },
);

testOnCpu("saveCheckpoint() takes a module that the library has not made, with its config", async () => {
  const { make: _, ...config } = settings;
  const bytes = await saveCheckpoint(new Labelled(settings), { config });
  const { model, shape: drawn } = loadCheckpoint(bytes, "file", { make: Labelled });
  assert.deepEqual([namedParameters(model).size, drawn], [3, shape]);
});

testOnCpu(
  "createModel() and saveCheckpoint() refuse settings of custom networks in one line",
  async () => {
    const mistakes: readonly (readonly [object, RegExp])[] = [
      [{ make: undefined }, /^Cannot make the network labelled: it is not one of the library's/],
      [{ make: "Labelled" }, /^Cannot make a network: make is "Labelled" \(expected the class of a network/],
      [{ make: () => Promise.resolve() }, /its function returned a promise \(expected a network/],
      [
        { make: () => ({ velocity: (x: Tensor) => x }) },
        /it made an object of type Object \(expected a Module/,
      ],
      [{ make: () => new Linear(1, 1) }, /it made a Module without velocity\(\) \(expected a Module/],
      [{ name: "" }, /^Cannot make a network: name is "" \(expected a line of text/],
      [{ digest: "12" }, /digest is "12" \(expected 64 hex digits/],
      [{ options: { x: {} } }, /the option x is an object of type Object \(expected a number/],
      [{ shape: [1, 2] }, /shape is an array \(expected \[C, H, W\]/],
      [{ classes: -1 }, /classes is -1 \(expected a whole number of at least 0/],
      [{ filters: [8] }, /^Unknown setting "filters" of a network of your own/],
    ];
    for (const [mistake, message] of mistakes) {
      assert.throws(() => createModel({ ...settings, ...mistake } as OwnModelOptions), {
        name: "TypeError",
        message,
      });
    }
    const wrong = createModel({
      ...settings,
      make: class extends Labelled {
        override velocity = (x: Tensor) => add(reshape(x, [x.size]), 1);
      },
    });
    assert.throws(() => wrong.velocity(zeros([2, ...shape]), zeros([2])), {
      name: "ShapeError",
      message: /returned f32\[12\]/,
    });
    await assert.rejects(
      saveCheckpoint(new Labelled(settings)),
      /neither createModel\(\) nor loadCheckpoint\(\) made the model/,
    );
  },
);
