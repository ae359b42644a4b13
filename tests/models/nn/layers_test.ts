import assert from "node:assert/strict";
import { gelu, gradients, multiply, sum, type Tensor, tensor, zeros } from "../../../kernels/mod.ts";
import {
  Conv2d,
  ConvTranspose2d,
  createInitialiser,
  Embedding,
  type InitialiserName,
  LayerNorm,
  Linear,
  loadState,
  type Module,
  namedParameters,
  randomInitialiser,
  Sequential,
} from "../../../models/mod.ts";
import { assertClose, testOnCpu, testOnDevices } from "../../testing.ts";
import { testWithVectors, type Vectors } from "../vectors.ts";
import { assertSameNumbers } from "../../same_numbers.ts";

const layers: Record<string, () => Module & { forward(x: Tensor): Tensor }> = {
  linear: () => new Linear(5, 6),
  linear_vector: () => new Linear(5, 6),
  layer_norm: () => new LayerNorm(7),
  layer_norm_plain: () => new LayerNorm(7, { affine: false, epsilon: 1e-3 }),
  sequential: () => new Sequential(new Linear(5, 8), gelu, new LayerNorm(8), new Linear(8, 2)),
  embedding: () => new Embedding(5, 3),
};

for (const [name, make] of Object.entries(layers)) {
  testWithVectors(`${name} gives PyTorch's values and gradients`, "layers", async (vectors) => {
    const layer = make();
    loadState(layer, vectors.part(`${name}.param.`), "vectors");
    const input = vectors.tensor(`${name}.x`);
    const x = name === "embedding" ? indicesOf(vectors, input) : input;
    const y = layer.forward(x);
    const { shape, data } = vectors.tensors.get(`${name}.y`)!;
    assert.deepEqual(y.shape, shape);
    assertClose(await y.read(), data, 1e-5);
    const variables = new Map([
      ...name === "embedding" ? [] : [["x", x] as const],
      ...namedParameters(layer),
    ]);
    assert.deepEqual([...vectors.part(`${name}.grad.`).keys()], [...variables.keys()]);
    const computed = gradients(sum(multiply(y, vectors.tensor(`${name}.probe`))), [...variables.values()]);
    for (const [i, of] of [...variables.keys()].entries()) {
      assertClose(await computed[i].read(), vectors.values(`${name}.grad.${of}`), 2e-5);
    }
  });
}

function indicesOf(vectors: Vectors, { shape }: Tensor): Tensor {
  return tensor(Uint32Array.from(vectors.values("embedding.x")), shape);
}

/** Root mean square and largest of values. */
async function spread(drawn: Tensor): Promise<readonly [number, number]> {
  const values = await drawn.read();
  const squares = values.reduce((sum, value) => sum + value * value, 0);
  return [
    Math.sqrt(squares / values.length),
    values.reduce((most, value) => Math.max(most, Math.abs(value)), 0),
  ];
}

/** Compares spreads, and the largest value if it is a bound: for normal numbers it is random. */
async function assertDrawnAs(name: string, drawn: Tensor, [rms, largest]: readonly number[]): Promise<void> {
  const [ownRms, ownLargest] = await spread(drawn);
  assert.ok(Math.abs(ownRms - rms) <= 0.05 * rms, `${name}: ${ownRms}, not ${rms}`);
  if (largest <= 1.75 * rms) {
    assert.ok(Math.abs(ownLargest - largest) <= 0.04 * largest, `${name}: ${ownLargest}`);
  } else assert.ok(ownLargest > 2.5 * rms, `${name}: no normal numbers, as the largest is ${ownLargest}`);
}

testWithVectors(
  "layers and createInitialiser() draw weights as PyTorch does",
  "layers",
  async ({ metadata }) => {
    const [shape, initialisers, defaults] = ["shape", "initialisers", "defaults"].map((key) =>
      JSON.parse(metadata[key])
    );
    for (const [name, spread] of Object.entries<number[]>(initialisers)) {
      const made = createInitialiser(name as InitialiserName, 1);
      await assertDrawnAs(name, made.uniform(shape, 1e3), spread);
      assert.deepEqual(await made.uniform([2], 1).read(), new Float32Array(2));
      assert.deepEqual(await made.constant([2], 1).read(), Float32Array.of(1, 1));
    }
    const from = createInitialiser("pytorch", 1);
    const made: Record<string, Module> = {
      Linear: new Linear(160, 128, from),
      Conv2d: new Conv2d(48, 64, 3, from),
      ConvTranspose2d: new ConvTranspose2d(48, 64, from),
      Embedding: new Embedding(128, 160, from),
      LayerNorm: new LayerNorm(160, {}, from),
    };
    for (const [name, spreads] of Object.entries<Record<string, number[]>>(defaults)) {
      const parameters = namedParameters(made[name]);
      assert.deepEqual([...parameters.keys()], Object.keys(spreads));
      for (const [key, parameter] of parameters) {
        // A bias has few numbers, which may all be far from the bound.
        if (key === "weight" || spreads[key][0] === 0) {
          await assertDrawnAs(`${name}.${key}`, parameter, spreads[key]);
        } else assert.ok((await spread(parameter))[1] <= 1.02 * spreads[key][1], `${name}.${key}`);
      }
    }
  },
  testOnCpu,
);

testOnDevices("createInitialiser() is random by its seed, or continues another initialiser", async () => {
  const draw = (seed: Parameters<typeof createInitialiser>[1]) =>
    createInitialiser("xavier_normal", seed).uniform([3, 4], 1).read();
  assertSameNumbers(await draw(7), await draw(randomInitialiser(7)));
  assert.notDeepEqual(await draw(7), await draw(8));
  const shared = randomInitialiser(7);
  const [first, second] = [await draw(shared), await draw(shared)];
  assertSameNumbers(first, await draw(7));
  assert.notDeepEqual(second, first);
});

testOnCpu("Sequential names its layers as PyTorch does, and shares one that is used twice", () => {
  const layer = new Linear(2, 2);
  const model = new Sequential(layer, gelu, layer, new Sequential(gelu, new Linear(2, 1)));
  assert.deepEqual([...namedParameters(model).keys()], ["0.weight", "0.bias", "3.1.weight", "3.1.bias"]);
  assert.deepEqual(model.forward(zeros([5, 2])).shape, [5, 1]);
  assert.equal(model[0], layer);
});

testOnCpu("layers refuse invalid arguments with a one-line message", () => {
  const x = zeros([4, 3]);
  const cases: readonly [call: () => unknown, message: string][] = [
    [
      () => new Linear(2, 1).forward(zeros([2, 2, 3])),
      "Cannot run a Linear: x is f32[2, 2, 3] (expected f32[..., 2])",
    ],
    [() => new Linear(2, 1).forward(zeros([])), "Cannot run a Linear: x is f32[] (expected f32[..., 2])"],
    [
      () => new Linear(2, 1).forward([1, 2] as never),
      "Cannot run a Linear: x is an array (expected a tensor)",
    ],
    [() => new LayerNorm(2).forward(x), "Cannot run a LayerNorm: x is f32[4, 3] (expected f32[..., 2])"],
    [
      () => new LayerNorm(2, { epsilon: -1 }),
      "Cannot make a LayerNorm: epsilon is -1 (expected a number of at least 0)",
    ],
    [() => new LayerNorm(2, { eps: 1 } as never), 'Unknown setting "eps" of a LayerNorm'],
    [
      () => new Embedding(3, 2).forward(x),
      "Cannot run an Embedding: the indices are f32[4, 3] (expected u32[...])",
    ],
    [
      () => new Sequential(gelu, Linear as never),
      "Cannot make a Sequential: layer 1 is a class (expected a module with forward(x), or a function)",
    ],
    [
      () => new Sequential({} as never),
      "Cannot make a Sequential: layer 0 is an object of type Object (expected",
    ],
    [
      () => createInitialiser("xavier" as never),
      'Unknown initialiser "xavier": did you mean "xavier_normal"? (known: pytorch, kaiming_uniform',
    ],
  ];
  for (const [call, message] of cases) {
    assert.throws(call, (error: Error) => {
      assert.ok(error.message.includes(message) && !error.message.includes("\n"), `${error}`);
      return true;
    });
  }
});

testOnCpu("Conv2d pads half its kernel by default, unlike PyTorch, and ConvTranspose2d doubles", () => {
  const x = zeros([1, 2, 6, 7]);
  const sizes = [new Conv2d(2, 1, 3), new Conv2d(2, 1, [5, 1]), new Conv2d(2, 1, 3, { dilation: 2 })];
  for (const layer of sizes) assert.deepEqual(layer.forward(x).shape, [1, 1, 6, 7]);
  assert.deepEqual(new Conv2d(2, 1, 3, { padding: 0 }).forward(x).shape, [1, 1, 4, 5]);
  assert.deepEqual(new ConvTranspose2d(2, 1).forward(x).shape, [1, 1, 12, 14]);
});
