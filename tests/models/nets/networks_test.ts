/** Networks: how they are made, and their values, derivatives and training against PyTorch; see tests/vectors/README.md. */

import assert from "node:assert/strict";
import {
  add,
  full,
  gradients,
  jvp,
  meanSquaredError,
  reshape,
  type Shape,
  type Tensor,
  tensor,
  zeros,
} from "../../../kernels/mod.ts";
import * as models from "../../../models/mod.ts";
import { optionsOf } from "../../../models/nets/networks.ts";
import { assertSameNumbers } from "../../same_numbers.ts";
import {
  assertClose,
  largestDifference,
  testByTransforms,
  testOnAllKernels,
  testOnCpu,
  testOnDevices,
} from "../../testing.ts";
import DiT from "../../../examples/dit.ts";
import { testWithVectors } from "../vectors.ts";

const { countParameters, createModel, flatten, flowMatchingLoss, LabelEmbedding, Linear, loadCheckpoint } =
  models;
const { loadState, Module, namedParameters, noneOf, optimizer, saveCheckpoint, stateOf } = models;
type UNetOptions = models.UNetModelOptions;

const base = (filters: number[], tEmb: number): UNetOptions => ({ type: "UNet_FM", filters, tEmb });
const residual = (filters: number[], tEmb: number): UNetOptions => ({
  ...base(filters, tEmb),
  type: "UNet_FM_Residuals",
});
const tiny = { ...residual([2, 4], 3), groups: 2 };

testOnCpu("countParameters() returns the study's numbers without allocating parameters", (device) => {
  const before = device.allocatedBytes, sizes = [[16, 32, 64], [32, 64, 128]];
  const counts = [base, residual].map((make) => sizes.map((filters) => countParameters(make(filters, 64))));
  assert.deepEqual(counts, [[71_505, 251_361], [270_545, 1_036_513]]);
  const large = [base, residual].map((make) => countParameters(make([256, 512, 1024], 512)) / 1e6);
  assert.deepEqual(large.map((millions) => millions.toFixed(1)), ["16.0", "66.1"]);
  assert.equal(device.allocatedBytes, before);
});

testOnCpu("createModel() draws weights as PyTorch does, by the seed, by default 46020", async () => {
  const [a, b, c] = await Promise.all(
    [createModel(tiny), createModel(tiny, 46020), createModel(tiny, 2)].map(stateOf),
  );
  assertSameNumbers(a, b);
  assert.notDeepEqual(a, c);
  const state = await stateOf(createModel({ ...residual([32, 64], 64), attn: true }));
  const bounds = {
    "time_mlp.2.weight": 1 / Math.sqrt(64),
    "downs.1.conv.weight": 1 / Math.sqrt(32 * 9),
    "downs.1.conv.bias": 1 / Math.sqrt(32 * 9),
    "ups.0.upsample.weight": 1 / Math.sqrt(32 * 4), // fan-in counts outputs
    "ups.0.upsample.bias": 1 / Math.sqrt(32 * 4),
  };
  for (const [name, bound] of Object.entries(bounds)) {
    const { data } = state.get(name)!, largest = Math.max(...data.map(Math.abs));
    assert.ok(largest <= bound && largest > 0.9 * bound, `${name} reaches ${largest} of ${bound}`);
    const mean = data.reduce((sum, x) => sum + x, 0) / data.length;
    assert.ok(Math.abs(mean) < 4 * bound / Math.sqrt(3 * data.length), `${name} has mean ${mean}`);
  }
  const ones = ["mid_res.gn1.weight"],
    none = ["mid_res.gn1.bias", "mid_attn.final.weight", "mid_attn.final.bias"];
  for (const name of [...ones, ...none]) {
    assert.ok(state.get(name)!.data.every((x) => x === (name === ones[0] ? 1 : 0)), name);
  }
});

testOnCpu("loadState() restores the state of stateOf(), or refuses it and changes nothing", async () => {
  const [model, other] = [1, 2].map((seed) => createModel(tiny, seed)), state = await stateOf(model);
  loadState(other, state, "a");
  const one = { shape: [1], data: new Float32Array(1) };
  // The error comes after a valid parameter, which must not be written.
  const late = (data: unknown) => (copy: typeof state) => {
    copy.set("time_mlp.0.bias", { shape: [3], data: Float32Array.of(7, 8, 9) });
    copy.set("last.bias", { shape: [1], data: data as Float32Array });
  };
  const length = /"last.bias" has \d values in a Float\d\dArray \(expected 1 in a Float32Array\)/;
  const cases: readonly (readonly [change: (copy: typeof state) => void, message: RegExp])[] = [
    [(copy) => copy.delete("last.bias"), /Cannot load weights: "last.bias" is missing$/],
    [(copy) => copy.set("downs.0.conv.wait", one), /unknown name "downs.0.conv.wait".*"downs.0.conv.weight"/],
    [(copy) => copy.set("last.weight", one), /"last.weight" is f32\[1\] \(expected f32\[1, 2, 3, 3\]\)/],
    [late(new Float32Array(2)), length],
    [late(new Float64Array(1)), length],
  ];
  for (const [change, message] of cases) {
    const copy = new Map(state);
    change(copy);
    assert.throws(() => loadState(other, copy, "weights"), { name: "StateError", message });
  }
  assertSameNumbers(await stateOf(other), state);
  assert.deepEqual([...namedParameters(model).keys()], [...state.keys()]);
});

const shape = [1, 2, 3] as const;

/** Adds a row of the label to a linear map of the pixels. */
class Labelled extends Module {
  layer: models.Linear;
  labels: models.LabelEmbedding;

  constructor({ shape: [C, H, W], classes }: { shape: Shape; classes: number }) {
    super();
    this.layer = new Linear(C * H * W, C * H * W);
    this.labels = new LabelEmbedding({ classes, tEmb: C * H * W });
  }

  velocity(x: Tensor, t: Tensor, labels?: Tensor): Tensor {
    assert.ok(labels, "a network with classes always gets labels");
    return reshape(this.labels.forward(this.layer.forward(reshape(x, [t.size, 6])), labels), x.shape);
  }
}
const own = {
  type: "own",
  name: "labelled",
  make: Labelled,
  shape,
  classes: 2,
} satisfies models.OwnModelOptions;

testOnCpu("createModel() makes a network of one's own from the seed, by a class or a function", async () => {
  const [first, again, other] = await Promise.all([1, 1, 2].map((seed) => stateOf(createModel(own, seed))));
  assertSameNumbers(first, again);
  assert.notDeepEqual(first, other);
  assert.equal(countParameters(own), 6 * 6 + 6 + 3 * 6);
  const model = createModel(own);
  assert.deepEqual([model.shape, noneOf(model), optionsOf(model)?.classes], [shape, 2, 2]);
  const makers = [function (options: never) {
    return new Labelled(options);
  }, (options: never) => new Labelled(options)];
  for (const make of makers) assert.ok(createModel({ ...own, make }) instanceof Labelled);
});

testOnCpu(
  "an own network is guided, takes 'none' without a condition, and its path and prediction",
  async () => {
    const model = createModel(own, 3), [x, t] = [zeros([2, ...shape]), tensor([0.25, 0.25])];
    const [none, label] = [[2, 2], [0, 1]].map((labels) => tensor(Uint32Array.from(labels)));
    const [vu, vc] = [await model.velocity(x, t).read(), await model.velocity(x, t, label).read()];
    assertSameNumbers(vu, await model.velocity(x, t, none).read());
    const guided = models.guided(model, { scale: 3, none: noneOf(model) }).velocity(x, t, label);
    assertClose(await guided.read(), vu.map((v, i) => v + 3 * (vc[i] - v)), 1e-5);
    const data = createModel({ ...own, prediction: "data" }, 3); // v = (x1 - x) / (1 - t)
    assertClose(await data.velocity(x, t).read(), vu.map((x1) => x1 / 0.75), 1e-5);
    assert.deepEqual([model.path, createModel({ ...own, path: "cosine" }).path], [
      undefined,
      models.paths.cosine.make(),
    ]);
  },
);

testOnCpu(
  "the velocity of an own flow map is its mean velocity for d = 0, which may call its velocity",
  async () => {
    class Mean extends Labelled {
      meanVelocity(x: Tensor, t: Tensor, d: Tensor, labels?: Tensor): Tensor {
        return add(this.velocity(x, t, labels), reshape(add(d, 1), [t.size, 1, 1, 1]));
      }
    }
    const [flow, map] = [false, true].map((flowMap) => createModel({ ...own, make: Mean, flowMap }));
    assert.equal(flow.meanVelocity, undefined, "a flow has none");
    const [x, t] = [zeros([2, ...shape]), tensor([0.2, 0.7])], v = await flow.velocity(x, t).read();
    assertSameNumbers(await map.velocity(x, t).read(), v.map((value) => value + 1));
    const u = await map.meanVelocity!(x, t, tensor([0, 1])).read();
    assertSameNumbers(u, v.map((value, i) => value + (i < 6 ? 1 : 2)));
  },
);

testOnCpu("checkpoints keep an own network, its options and its shape", async () => {
  class Scaled extends Labelled {
    constructor(options: { shape: Shape; classes: number; scale: number; widths: number[] }) {
      assert.deepEqual([options.scale, options.widths], [0.5, [1, 2]]);
      super(options);
    }
  }
  const more = {
    options: { scale: 0.5, widths: [1, 2] },
    digest: "0123456789abcdef".repeat(4),
    path: "cosine",
  } as const;
  const model = createModel({ ...own, make: Scaled, ...more }, 5);
  const bytes = await saveCheckpoint(model, { normalization: { scale: 2, shift: -1 } });
  const { model: again, info, shape: drawn } = loadCheckpoint(bytes, "file", { make: Scaled });
  assertSameNumbers(await stateOf(again), await stateOf(model));
  assert.deepEqual([info.config, drawn], [{ ...optionsOf(model), make: undefined }, shape]);
  assertSameNumbers(await saveCheckpoint(again), bytes);
  const message =
    /^Cannot load file: its network labelled is not one of the library's \(expected its class or func/;
  assert.throws(() => loadCheckpoint(bytes, "file"), { name: "CheckpointError", message });
  assert.throws(() => loadCheckpoint(bytes, "file", { make: Linear as never }), /Cannot make/);
  const { make: _, ...config } = own; // of a module that the library has not made
  const plain = loadCheckpoint(await saveCheckpoint(new Labelled(own), { config }), "file", {
    make: Labelled,
  });
  assert.deepEqual([namedParameters(plain.model).size, plain.shape], [3, shape]);
  const unknown = /neither createModel\(\) nor loadCheckpoint\(\) made the model/;
  await assert.rejects(saveCheckpoint(new Labelled(own)), unknown);
});

testOnCpu("createModel() and velocity() refuse invalid settings and inputs", () => {
  const made = (options: object) => () => createModel({ ...tiny, ...options } as UNetOptions, 0);
  const custom = (options: object) => () => createModel({ ...own, ...options } as models.OwnModelOptions);
  const refused: [() => unknown, RegExp][] = [
    [made({ type: "UNet_FN" }), /Unknown network "UNet_FN": did you mean "UNet_FM"/],
    [made({ filter: [1] }), /Unknown setting "filter" of a network: did you mean "filters"/],
    [made({ filters: [] }), /filters is \[\] \(expected a list of whole numbers of at least 1\)/],
    [made({ tEmb: 0 }), /tEmb is 0 \(expected a whole number of at least 1\)/],
    [made({ classes: -1 }), /classes is -1 \(expected a whole number of at least 0\)/],
    [made({ attn: "yes" }), /attn is "yes" \(expected true or false\)/],
    [made({ path: "bent" }), /path is "bent" \(expected linear or cosine\)/],
    [made({ groups: 3 }), /^ShapeError: Cannot make a GroupNorm: 3 groups do not divide/],
    [() => createModel(tiny, "1" as never), /^RangeError: Cannot draw from the seed "1" /],
    [custom({ make: undefined }), /^TypeError: .*labelled: it is not one of the library's/],
    [custom({ make: "Labelled" }), /^TypeError: .*: make is "Labelled" \(expected the class of a network/],
    [custom({ make: () => Promise.resolve() }), /its function returned a promise \(expected a network/],
    [custom({ make: () => ({ velocity: (x: Tensor) => x }) }), /it made an object of type Object /],
    [custom({ make: () => new Linear(1, 1) }), /it made a Module without velocity\(\) \(expected a Module/],
    [custom({ name: "" }), /^TypeError: Cannot make a network: name is "" \(expected a line of text/],
    [custom({ digest: "12" }), /digest is "12" \(expected 64 hex digits/],
    [custom({ options: { x: {} } }), /the option x is an object of type Object \(expected a number/],
    [custom({ shape: [1, 2] }), /shape is an array \(expected \[C, H, W\]/],
    [custom({ filters: [8] }), /^TypeError: Unknown setting "filters" of a network of your own/],
    [custom({ flowMap: true }), /labelled: it has no method meanVelocity/],
  ];
  class Wrong extends Labelled {
    override velocity = (x: Tensor) => add(reshape(x, [x.size]), 1);
  }
  const wrong = createModel({ ...own, make: Wrong });
  refused.push([() => wrong.velocity(zeros([2, ...shape]), zeros([2])), /^ShapeError: .*returned f32\[12\]/]);
  for (const type of models.modelTypes) {
    for (const classes of [0, 2]) {
      const model = createModel({ ...tiny, type, classes }, 0);
      const condition = classes > 0 ? tensor(Uint32Array.of(0, 1)) : undefined;
      const run = (x: number[], t = tensor([0, 0])) => () => model.velocity(zeros(x), t, condition);
      refused.push([run([2, 1, 1, 3]), /levels on f32\[2, 1, 1, 3\].*at least 2/], [
        run([2, 2, 2, 2]),
        /^ShapeError/,
      ]);
      for (const t of [tensor([0]), tensor([0, 0, 0]), tensor([0, 0], [2, 1])]) {
        const message = `ShapeError: Cannot run a U-Net: t is ${t} (expected f32[2])`;
        refused.push([run([2, 1, 2, 2], t), new RegExp(`^${RegExp.escape(message)}$`)]);
      }
    }
  }
  for (const [call, message] of refused) assert.throws(call, message);
  createModel({ ...base([5, 7], 2), groups: 8 }, 0); // without GroupNorm, groups do not matter
});

/** Files of vectors; the kernels for other adapters and by Winograd run the one with the most kinds of layers. */
const cases = {
  ...{ base: testOnDevices, base_attention_odd: testOnDevices, base_one_level: testOnDevices },
  ...{ residual: testOnDevices, residual_attention: testOnDevices, residual_attention_odd_rgb: testAll },
  ...{ base_classes: testOnDevices, residual_classes: testOnDevices },
};

/** Tests on all devices, also with Winograd convolutions, which so few channels would not choose. */
function testAll(...given: Parameters<typeof testOnAllKernels>): void {
  testOnAllKernels(...given);
  testByTransforms(...given);
}

/** Asserts values up to an error relative to the largest one expected. */
async function assertNear(
  actual: Tensor,
  expected: Float32Array,
  tolerance: number,
  of: string,
): Promise<void> {
  const error = largestDifference(await actual.read(), expected) / Math.max(...expected.map(Math.abs));
  assert.ok(error <= tolerance, `${of} is off by ${error}`);
}

testWithVectors(
  "velocity() of examples/dit.ts and its tangent match PyTorch's",
  "transformer",
  async (vectors) => {
    const size = { shape: [1, 28, 28] as const, classes: 0, flowMap: false };
    const model = new DiT({ patch: 7, width: 12, depth: 2, heads: 3, ...size });
    loadState(model, vectors.part("param."), "vectors");
    const [x, t, direction] = ["x", "t", "direction"].map(vectors.tensor);
    const results = jvp((x, t) => model.velocity(x, t), [x, t], [direction, full(t.shape, 1)]);
    for (const [i, of] of ["output", "jvp"].entries()) {
      await assertNear(
        results[i],
        vectors.values(of),
        1e-5,
        of,
      );
    }
  },
  testOnAllKernels,
);

for (const [name, test] of Object.entries(cases)) {
  testWithVectors(`velocity() of ${name} and all its derivatives match PyTorch's`, name, async (vectors) => {
    const model = vectors.model(), parameters = namedParameters(model);
    assert.deepEqual([...parameters.keys()], vectors.parameterNames);
    const [xt, t, u] = ["xt", "t", "u"].map(vectors.tensor);
    const velocity = (x: Tensor, t: Tensor) => model.velocity(x, t, vectors.labels);
    const output = velocity(xt, t), loss = meanSquaredError(output, u);
    const all = gradients(loss, [xt, ...parameters.values()]);
    const [, tangent] = jvp(velocity, [xt, t], [u, full(t.shape, 1)]);
    await assertNear(output, vectors.values("output"), 1e-5, "the output");
    await assertNear(tangent, vectors.values("jvp"), 1e-5, "the tangent");
    assertClose(await loss.read(), vectors.values("loss"), 1e-5);
    for (const [i, of] of ["grad_xt", ...parameters.keys().map((key) => `grad.${key}`)].entries()) {
      if (vectors.zeroGradient.has(of.slice("grad.".length))) {
        assert.ok(largestDifference(await all[i].read(), vectors.values(of)) <= 1e-6, of);
      } else await assertNear(all[i], vectors.values(of), 2e-4, of);
    }
  }, test);

  const define = name === "residual" ? testOnDevices : testOnCpu;
  testWithVectors(
    `optimizer() takes the same first AdamW steps as PyTorch, with ${name}`,
    name,
    async (vectors) => {
      const model = vectors.model(), parameters = namedParameters(model);
      const rule = optimizer("adamw", flatten(parameters), { learningRate: 1e-3, weightDecay: 0.01 });
      const [x0, x1, t] = ["x0", "x1", "t"].map(vectors.tensor);
      const losses = Array.from({ length: 3 }, () => {
        const loss = flowMatchingLoss(model, x0, x1, t, vectors.labels);
        rule.beforeStep();
        rule.update(gradients(loss, [...parameters.values()]));
        return loss.read();
      });
      const read = (await Promise.all(losses)).map(([loss]) => loss);
      assert.ok(largestDifference(read, vectors.values("losses")) <= 1e-5);
      for (const [key, parameter] of parameters) {
        if (vectors.zeroGradient.has(key)) continue;
        const error = largestDifference(await parameter.read(), vectors.values(`after.${key}`));
        assert.ok(error <= 1e-4, `${key} is off by ${error}`);
      }
    },
    define,
  );
}
