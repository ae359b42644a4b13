/** Files of networks, and pixels in their units. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { init, type Tensor, withDevice } from "../../../kernels/mod.ts";
import * as models from "../../../models/mod.ts";
import { withFolder } from "../../folder.ts";
import { testNeeding } from "../../permissions.ts";
import { assertSameNumbers } from "../../same_numbers.ts";
import { assertClose, testOnCpu } from "../../testing.ts";
import { testWithVectors } from "../vectors.ts";

const { createModel, decodeSafetensors, encodeSafetensors, loadCheckpoint, noise, saveCheckpoint, stateOf } =
  models;
const defaults = {
  ...{ classes: 0, flowMap: false, maxGuidance: 1 },
  ...{ timeEmbedding: "scalar", path: "linear", prediction: "velocity" } as const,
};
const info: models.CheckpointInfo = {
  config: {
    type: "UNet_FM_Residuals",
    filters: [2, 4],
    tEmb: 3,
    channels: 3,
    attn: true,
    groups: 2,
    ...defaults,
  },
  normalization: { scale: 2, shift: -1 },
  imageSize: [9, 8],
};
const { config, normalization } = info;

testOnCpu("saveCheckpoint() and loadCheckpoint() keep every bit and setting", async (device) => {
  const model = createModel(config, 46020), state = await stateOf(model);
  const bytes = await saveCheckpoint(model, { normalization, imageSize: info.imageSize });
  assertSameNumbers(await saveCheckpoint(model, info), bytes);
  const load = (bytes: Uint8Array, fallback?: object) =>
    withDevice(device, () => loadCheckpoint(bytes, "a file", fallback));
  const loaded = load(bytes);
  assert.deepEqual(loaded.info, info);
  assertSameNumbers(await stateOf(loaded.model), state);
  const decoded = models.decodeCheckpoint(bytes, "a file");
  assert.deepEqual(decoded.info, info);
  assertSameNumbers(decoded.tensors, state);
  const at = [noise(1, [2, 3, 9, 8]), noise(2, [2])] as const;
  assertSameNumbers(await loaded.model.velocity(...at).read(), await model.velocity(...at).read());
  assertSameNumbers(await saveCheckpoint(loaded.model), bytes);
  const other = await stateOf(createModel(config, 2));
  const file = await saveCheckpoint(model, info, other);
  assertSameNumbers(models.decodeCheckpoint(file, "a file").tensors, other, "given weights");
  // Unknown facts about the images are left out of the file.
  const bare = await saveCheckpoint(model);
  assert.deepEqual(Object.keys(decodeSafetensors(bare, "bare").metadata), ["format_version", "config"]);
  const fallback = load(bare, { imageSize: [5, 7] }).info;
  assert.deepEqual(fallback, { ...info, normalization: { scale: 1, shift: 0 }, imageSize: [5, 7] });
});

testOnCpu("saveCheckpoint() refuses what loadCheckpoint() would refuse, and a different config", async () => {
  class Own extends models.Module {
    weight = noise(1, [2]);
    velocity = (x: Tensor) => x;
  }
  const model = createModel(config, 1), weights = await stateOf(model);
  weights.delete("last.bias");
  const save = (given: object, state?: models.State) => () => saveCheckpoint(model, given, state);
  const would = "Error: Cannot load the file that saveCheckpoint\\(\\) would write:";
  const bad: [call: () => unknown, message: string][] = [
    [save({ normalization: { scale: 0, shift: 1 } }), `${would} its normalization is .*:0`],
    [save({ normalization: { scale: 2, shift: NaN } }), `${would} its normalization`],
    [save({ imageSize: [0.5, 3] }), `${would} its image_size is \\[0.5,3\\]`],
    [save({ imagesize: [28, 28] }), 'TypeError: Unknown setting "imagesize" of '],
    [save({}, weights), `StateError: .* "last.bias" is missing`],
    [
      save({ config: { ...config, groups: 1 } }),
      'TypeError: Cannot save the checkpoint: config is .*"groups":1}.* \\(expected .*"groups":2}, which the model ',
    ],
    [() => saveCheckpoint(new Own()), "TypeError: .* made the model; pass its config$"],
  ];
  for (const [call, message] of bad) await assert.rejects(async () => await call(), new RegExp(message));
  const { metadata } = decodeSafetensors(await saveCheckpoint(new Own(), { config }), "own");
  assert.equal(JSON.parse(metadata.config).type, config.type);
});

testWithVectors(
  "loadCheckpoint() reads a plain PyTorch file, given its config",
  "residual",
  async (vectors) => {
    const bytes = encodeSafetensors(vectors.part("param."));
    const nameless = /^CheckpointError: .*does not name its network; pass its config/;
    assert.throws(() => loadCheckpoint(bytes, "torch.safetensors"), nameless);
    const { model, info } = loadCheckpoint(bytes, "torch.safetensors", { config: vectors.config });
    const bare = { normalization: { scale: 1, shift: 0 }, imageSize: [28, 28] };
    assert.deepEqual(info, { config: { ...vectors.config, ...defaults }, ...bare });
    const output = model.velocity(vectors.tensor("xt"), vectors.tensor("t"));
    assertClose(await output.read(), vectors.values("output"), 1e-5);
  },
  testOnCpu,
);

testOnCpu("loadCheckpoint() refuses invalid files without allocating memory", async (device) => {
  const state = await stateOf(createModel(config, 0));
  const text = '{"type":"UNet_FM_Residuals","filters":[2,4],"t_emb":3,"channels":3,"attn":true,"groups":2}';
  const levels = JSON.stringify(Array(1_000_000).fill(2));
  const changed = (from: string, to: string) => ({ config: text.replace(from, to) });
  const cases: readonly (readonly [metadata: Record<string, string>, message: RegExp])[] = [
    [{ config: text, format_version: "2" }, /its format is 2 \(expected 1\)/],
    [{ config: "{" }, /its config is not JSON/],
    [{ config: "[]" }, /its config is invalid/],
    [changed("FM_R", "FM_r"), /did you mean "UNet_FM_Residuals"/],
    [changed("filters", "filter"), /did you mean "filters"/],
    [changed("true", "false"), /^StateError: .*unknown name "mid_attn.gn.weight"/],
    [{ config: text, normalization: '{"scale":"2","shift":0}' }, /its normalization is/],
    [{ config: text, normalization: '{"scale":0,"shift":0}' }, /a scale other than 0/],
    [{ config: text, image_size: "[28]" }, /its image_size is \[28\]/],
    ...["[12.5,12]", "[0,12]", "[20000,20000]"].map((image_size) =>
      [{ config: text, image_size }, /two integers from 1 to 4096/] as const
    ),
    [changed("[2,4]", levels), /^StateError: .*its network has 1000000 levels, but the file/],
    [changed("[2,4]", "[1000000,1000000]"), /^StateError: .*"downs.0.conv.weight" is/],
  ];
  loadCheckpoint(encodeSafetensors(state, { config: text }), "a file");
  const before = device.allocatedBytes;
  for (const [metadata, message] of cases) {
    assert.throws(() => loadCheckpoint(encodeSafetensors(state, metadata), "a file"), (error: Error) => {
      assert.match(`${error}`, /^(CheckpointError|StateError): Cannot load a file: /);
      assert.match(`${error}`, message);
      return true;
    });
  }
  for (const bad of [NaN, Infinity]) {
    const damaged = new Map(state).set("last.bias", { shape: [3], data: Float32Array.of(0, bad, 0) });
    const message = `Cannot load a file: "last.bias" is ${bad} at index 1 (expected finite numbers)`;
    assert.throws(
      () => loadCheckpoint(encodeSafetensors(damaged, { config: text }), "a file"),
      (error: Error) => error.name === "StateError" && error.message.startsWith(message),
    );
  }
  assert.ok(device.allocatedBytes <= before + 2 ** 20, "a file that lies about its network took memory");
});

const access = { read: true, write: true, net: true } as const;
testNeeding(access, "openCheckpoint() reads a path, a file URL and a web address", async () => {
  await init({ device: "cpu", threads: 1 });
  const model = createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4, channels: 2 }, 5);
  const bytes = await saveCheckpoint(model, { normalization, imageSize: [6, 4] });
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) =>
      request.url.endsWith("/model")
        ? new Response(bytes)
        : new Response("gone", { status: 404, statusText: "Not Found" }),
  );
  const web = `http://127.0.0.1:${server.addr.port}`;
  await withFolder(async (folder) => {
    const path = join(folder, "a 100% #1.safetensors"); // characters that a URL would interpret
    await Deno.writeFile(path, bytes);
    for (const source of [path, pathToFileURL(path), `${web}/model`]) {
      const opened = await models.openCheckpoint(source);
      assertSameNumbers(await stateOf(opened.model), await stateOf(model));
      assert.deepEqual([opened.shape, opened.range], [[2, 6, 4], [-1, 1]]);
    }
    const message = new RegExp(`^Cannot open ${folder}/none: .*no such file`);
    await assert.rejects(models.openCheckpoint(join(folder, "none")), { name: "CheckpointError", message });
    await assert.rejects(models.openCheckpoint(`${web}/none`), {
      message: `Cannot open ${web}/none: 404 Not Found`,
    });
  });
});

Deno.test("pixels: toPixels() inverts fromPixels(), velocities are only scaled, asBytes() rounds and clips", () => {
  const pixels = Float32Array.of(-0.5, 0, 0.25, 1, 1.5);
  assert.deepEqual(models.fromPixels(pixels, normalization), Float32Array.of(-2, -1, -0.5, 1, 2));
  assertSameNumbers(models.toPixels(models.fromPixels(pixels, normalization), normalization), pixels);
  const [image, velocity] = [Float32Array.of(-1, 1), Float32Array.of(-1, 3)], t = 0.3;
  const [seen, moving] = [Float32Array.of(0, 1), Float32Array.of(-0.5, 1.5)];
  const { snapshotToPixels } = models;
  assertSameNumbers(snapshotToPixels({ t, image, velocity }, normalization), {
    t,
    image: seen,
    velocity: moving,
  });
  assert.deepEqual(snapshotToPixels({ t: 1, image }, normalization), { t: 1, image: seen });
  const levels = models.asBytes(Float32Array.of(-0.2, 0, 0.3, 100.4 / 255, 1, 1.7)).map((pixel) =>
    pixel * 255
  );
  assertClose(levels, [0, 0, 77, 100, 255, 255], 1e-4);
});
