import assert from "node:assert/strict";
import { tensor } from "../../../kernels/mod.ts";
import {
  createModel,
  decodeSafetensors,
  encodeSafetensors,
  fit,
  loadCheckpoint,
  modelTypes,
  namedParameters,
  noise,
  noneOf,
  sample,
  saveCheckpoint,
  stateOf,
} from "../../../models/mod.ts";
import { timeFeatures } from "../../../models/nn/embeddings.ts";
import { assertClose, testOnCpu, testOnDevices } from "../../testing.ts";
import { assertSameNumbers } from "../../same_numbers.ts";

testOnDevices("timeFeatures: sinusoidal has waves of 1000 t, cosines first", async () => {
  const times = [0, 0.25, 0.9, 1];
  const features = await timeFeatures.sinusoidal.of(tensor(times), 8).read();
  const frequencies = [1, 0.1, 0.01, 0.001]; // 10,000^(-k/4)
  const expected = times.flatMap((t) => [
    ...frequencies.map((f) => Math.cos(1000 * t * f)),
    ...frequencies.map((f) => Math.sin(1000 * t * f)),
  ]);
  assertClose(features, expected, 1e-4);
  assert.deepEqual([...features.subarray(0, 8)], [1, 1, 1, 1, 0, 0, 0, 0]);
});

testOnCpu("a network with a sinusoidal time embedding trains, and keeps the setting", async () => {
  const options = { tEmb: 6, groups: 2, timeEmbedding: "sinusoidal" } as const;
  const model = createModel({ type: "UNet_FM", filters: [4, 8], ...options }, 1);
  assert.deepEqual(namedParameters(model).get("time_mlp.0.weight")!.shape, [6, 6]);
  const x1 = tensor(Float32Array.from({ length: 64 }, (_, i) => Math.sin(i)), [4, 1, 4, 4]);
  const losses = await fit(model, x1, { steps: 40, learningRate: 0.01 });
  const mean = (values: Float32Array) => values.reduce((sum, x) => sum + x) / values.length;
  assert.ok(mean(losses.subarray(30)) < mean(losses.subarray(0, 5)));
  const loaded = loadCheckpoint(await saveCheckpoint(model), "a checkpoint");
  assert.equal(loaded.info.config.timeEmbedding, "sinusoidal");
  const [x, t] = [tensor(new Float32Array(16).fill(0.5), [1, 1, 4, 4]), tensor([0.3])];
  assertSameNumbers(await loaded.model.velocity(x, t).read(), await model.velocity(x, t).read());
});

testOnCpu("a checkpoint omits the default time embedding; invalid ones are refused", async () => {
  const bytes = await saveCheckpoint(createModel({ type: "UNet_FM", filters: [4], tEmb: 3 }, 1));
  const { tensors, metadata } = decodeSafetensors(bytes, "a checkpoint");
  assert.ok(!("time_embedding" in JSON.parse(metadata.config)), metadata.config);
  assert.equal(loadCheckpoint(bytes, "a checkpoint").info.config.timeEmbedding, "scalar");
  for (const time_embedding of ["sinusoidal", "waves"]) { // of 3 features, and unknown
    const config = JSON.stringify({ ...JSON.parse(metadata.config), time_embedding });
    assert.throws(() => loadCheckpoint(encodeSafetensors(tensors, { ...metadata, config }), "a checkpoint"), {
      name: "CheckpointError",
      message: /even number|scalar or sinusoidal/,
    });
  }
});

for (const type of modelTypes) {
  testOnCpu(`${type} learns from labels, samples by label, and keeps its classes`, async () => {
    const model = createModel({ type, filters: [8], tEmb: 4, groups: 2, classes: 2 }, 46020);
    const x1 = tensor(Float32Array.from({ length: 4 * 16 }, (_, i) => i < 32 ? 1 : -1), [4, 1, 4, 4]);
    const condition = tensor(Uint32Array.of(0, 0, 1, 1));
    const losses = await fit(model, x1, { steps: 150, learningRate: 0.01, condition });
    assert.ok(losses[149] < losses[0] / 2, `${losses[0]} to ${losses[149]}`);
    const loaded = loadCheckpoint(await saveCheckpoint(model), "a checkpoint");
    assert.equal(loaded.info.config.classes, 2);
    const draw = (by: typeof model) => sample(by, { x0: noise(0, [4, 1, 4, 4]), steps: 8, condition }).read();
    const images = await draw(loaded.model);
    assertSameNumbers(images, await draw(model));
    const mean = (values: Float32Array) => values.reduce((sum, x) => sum + x) / values.length;
    assert.ok(mean(images.subarray(0, 32)) > 0.3 && mean(images.subarray(32)) < -0.3);
  });

  testOnDevices(`${type} without a condition treats every label as none`, async () => {
    const model = createModel({ type, filters: [4, 8], tEmb: 6, groups: 2, classes: 300 }, 5);
    const [x, t] = [noise(1, [3, 1, 8, 8]), tensor(Float32Array.of(0, 0.5, 1))];
    assert.equal(noneOf(model), 300);
    const [plain, none, labelled] = [undefined, [300, 300, 300], [0, 256, 299]].map((labels) =>
      model.velocity(x, t, labels && tensor(Uint32Array.from(labels)))
    );
    assertSameNumbers(await none.read(), await plain.read());
    assert.notDeepEqual(await labelled.read(), await plain.read());
  });

  testOnDevices(`${type} starts with the same weights as a network without classes`, async () => {
    const config = { type, filters: [4, 8], tEmb: 6, groups: 2 };
    const [plain, labelled] = [config, { ...config, classes: 10 }].map((config) => createModel(config, 5));
    const state = await stateOf(labelled);
    const { shape, data } = state.get("label_emb.weight")!;
    assert.deepEqual(shape, [11, 6]);
    const deviation = Math.sqrt(data.reduce((sum, x) => sum + x * x, 0) / data.length);
    assert.ok(deviation > 0.015 && deviation < 0.025, `${deviation}`);
    assert.deepEqual([...state.keys()].at(-1), "label_emb.weight");
    for (const [name, { data }] of await stateOf(plain)) assertSameNumbers(state.get(name)!.data, data, name);
  });

  testOnCpu(`${type} refuses a condition without one label per image`, () => {
    const [x, t] = [noise(1, [3, 1, 8, 8]), tensor(new Float32Array(3))];
    const config = { type, filters: [4, 8], tEmb: 6, groups: 2 };
    assert.throws(() => createModel(config, 5).velocity(x, t, tensor(Uint32Array.of(0, 1, 2))), {
      name: "TypeError",
      message:
        "Cannot use the condition u32[3]: the network was made without one (expected a network with classes)",
    });
    const model = createModel({ ...config, classes: 3 }, 5);
    const two = tensor(Uint32Array.of(1, 2)), column = tensor(new Uint32Array(3), [3, 1]);
    for (const wrong of [two, tensor(new Float32Array(3)), column]) {
      assert.throws(() => model.velocity(x, t, wrong), {
        name: "ShapeError",
        message: `Cannot use the condition ${wrong} (expected labels u32[3], one per image)`,
      });
    }
  });
}
