import assert from "node:assert/strict";
import { tensor } from "../../../kernels/mod.ts";
import {
  CheckpointError,
  createModel,
  decodeSafetensors,
  encodeSafetensors,
  fit,
  loadCheckpoint,
  modelTypes,
  namedParameters,
  saveCheckpoint,
} from "../../../models/mod.ts";
import { timeFeatures } from "../../../models/nn/embeddings.ts";
import { assertClose, testOnDevices } from "../../testing.ts";

testOnDevices("timeFeatures: sinusoidal has the waves of 1000 t, cosines first", async () => {
  const times = [0, 0.25, 0.9, 1];
  const found = await timeFeatures.sinusoidal.of(tensor(times), 8).read();
  const frequencies = [1, 0.1, 0.01, 0.001]; // 10,000^(-k/4)
  const expected = times.flatMap((t) => [
    ...frequencies.map((f) => Math.cos(1000 * t * f)),
    ...frequencies.map((f) => Math.sin(1000 * t * f)),
  ]);
  assertClose(found, expected, 1e-4);
  assert.deepEqual([...found.subarray(0, 8)], [1, 1, 1, 1, 0, 0, 0, 0]);
});

testOnDevices("timeFeatures: scalar is t", async () => {
  const features = timeFeatures.scalar.of(tensor([0.25, 1]), 1);
  assert.deepEqual([features.shape, [...await features.read()]], [[2, 1], [0.25, 1]]);
  assert.equal(timeFeatures.scalar.width(7), 1);
});

for (const type of modelTypes) {
  testOnDevices(`${type} with a sinusoidal time embedding trains, and its checkpoint says so`, async () => {
    const config = { type, filters: [4, 8], tEmb: 6, groups: 2, timeEmbedding: "sinusoidal" } as const;
    const model = createModel(config, 1);
    assert.deepEqual(namedParameters(model).get("time_mlp.0.weight")!.shape, [6, 6]);
    const x1 = tensor(Float32Array.from({ length: 64 }, (_, i) => Math.sin(i)), [4, 1, 4, 4]);
    const losses = await fit(model, x1, { steps: 40, learningRate: 0.01 });
    const mean = (values: Float32Array) => values.reduce((sum, x) => sum + x) / values.length;
    assert.ok(mean(losses.subarray(30)) < mean(losses.subarray(0, 5)));
    const bytes = await saveCheckpoint(model);
    const loaded = loadCheckpoint(bytes, "a checkpoint");
    assert.equal(loaded.info.config.timeEmbedding, "sinusoidal");
    const [x, t] = [tensor(new Float32Array(16).fill(0.5), [1, 1, 4, 4]), tensor([0.3])];
    assert.deepEqual(await loaded.model.velocity(x, t).read(), await model.velocity(x, t).read());
  });
}

testOnDevices(
  "a checkpoint of the default time embedding does not name it, as older ones do not",
  async () => {
    const config = { type: "UNet_FM", filters: [4], tEmb: 3 } as const;
    const bytes = await saveCheckpoint(createModel(config, 1));
    const { tensors, metadata } = decodeSafetensors(bytes, "a checkpoint");
    assert.ok(!("time_embedding" in JSON.parse(metadata.config)), metadata.config);
    assert.equal(loadCheckpoint(bytes, "a checkpoint").info.config.timeEmbedding, "scalar");
    for (const time_embedding of ["sinusoidal", "waves"]) { // of 3 features, and unknown
      const changed = JSON.stringify({ ...JSON.parse(metadata.config), time_embedding });
      const file = encodeSafetensors(tensors, { ...metadata, config: changed });
      assert.throws(
        () => loadCheckpoint(file, "a checkpoint"),
        (error) => error instanceof CheckpointError && /even number|scalar or sinusoidal/.test(error.message),
      );
    }
  },
);
