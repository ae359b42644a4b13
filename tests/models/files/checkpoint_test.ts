import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { init, type Tensor, withDevice } from "../../../kernels/mod.ts";
import {
  asBytes,
  type CheckpointInfo,
  createModel,
  decodeCheckpoint,
  decodeSafetensors,
  encodeSafetensors,
  fromPixels,
  loadCheckpoint,
  Module,
  noise,
  openCheckpoint,
  saveCheckpoint,
  snapshotToPixels,
  stateOf,
  toPixels,
  type UNetModelOptions,
} from "../../../models/mod.ts";
import { withFolder } from "../../folder.ts";
import { testNeeding } from "../../permissions.ts";
import { assertClose, testOnCpu } from "../../testing.ts";
import { testWithVectors } from "../vectors.ts";
import { assertSameNumbers } from "../../same_numbers.ts";

const info: CheckpointInfo = {
  config: {
    type: "UNet_FM_Residuals",
    filters: [2, 4],
    tEmb: 3,
    channels: 3,
    attn: true,
    groups: 2,
    timeEmbedding: "scalar",
    flowMap: false,
    maxGuidance: 1,
    path: "linear",
    prediction: "velocity",
    classes: 0,
  },
  normalization: { scale: 2, shift: -1 },
  imageSize: [9, 8],
};

testOnCpu("saveCheckpoint() and loadCheckpoint() keep every bit and setting", async (device) => {
  const model = createModel(info.config, 46020);
  const [x, t] = [noise(1, [2, 3, 9, 8]), noise(2, [2])];
  const bytes = await saveCheckpoint(model, {
    normalization: info.normalization,
    imageSize: info.imageSize,
  });
  assertSameNumbers(await saveCheckpoint(model, info), bytes);
  const loaded = withDevice(device, () => loadCheckpoint(bytes, "a file"));
  const state = await stateOf(model);
  assert.deepEqual([loaded.info, await stateOf(loaded.model)], [info, state]);
  assertSameNumbers(decodeCheckpoint(bytes, "a file"), { info, tensors: state });
  const [a, b] = withDevice(device, () => [model, loaded.model].map((either) => either.velocity(x, t)));
  assertSameNumbers(await a.read(), await b.read());
  assertSameNumbers(await saveCheckpoint(loaded.model), bytes);
  const other = await stateOf(withDevice(device, () => createModel(info.config, 2)));
  const file = await saveCheckpoint(model, info, other);
  assertSameNumbers(decodeCheckpoint(file, "a file").tensors, other, "given weights");

  // Unknown facts about the images are left out of the file.
  const bare = await saveCheckpoint(model);
  assert.deepEqual(Object.keys(decodeSafetensors(bare, "bare").metadata), ["format_version", "config"]);
  const fallback = withDevice(device, () => loadCheckpoint(bare, "bare", { imageSize: [5, 7] }));
  assert.deepEqual(fallback.info, { ...info, normalization: { scale: 1, shift: 0 }, imageSize: [5, 7] });
});

testOnCpu("saveCheckpoint() refuses what loadCheckpoint() would refuse, and a different config", async () => {
  class Own extends Module {
    weight = noise(1, [2]);
    velocity = (x: Tensor) => x;
  }
  const model = createModel(info.config, 1);
  const weights = await stateOf(model);
  weights.delete("last.bias");
  const { config } = info;
  const would = "Error: Cannot load the file that saveCheckpoint\\(\\) would write:";
  const bad: [call: () => unknown, message: string][] = [
    [
      () => saveCheckpoint(model, { normalization: { scale: 0, shift: 1 } }),
      `${would} its normalization is .*:0`,
    ],
    [
      () => saveCheckpoint(model, { normalization: { scale: 2, shift: NaN } }),
      `${would} its normalization`,
    ],
    [() => saveCheckpoint(model, { imageSize: [0.5, 3] }), `${would} its image_size is \\[0.5,3\\]`],
    [
      () => saveCheckpoint(model, { imagesize: [28, 28] } as never),
      'TypeError: Unknown setting "imagesize" of ',
    ],
    [() => saveCheckpoint(model, {}, weights), `StateError: .* "last.bias" is missing`],
    [
      () => saveCheckpoint(model, { config: { ...config, groups: 1 } as UNetModelOptions }),
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
    const defaults = {
      classes: 0,
      flowMap: false,
      maxGuidance: 1,
      timeEmbedding: "scalar",
      path: "linear",
      prediction: "velocity",
    };
    assert.deepEqual(info, {
      config: { ...vectors.config, ...defaults },
      normalization: { scale: 1, shift: 0 },
      imageSize: [28, 28],
    });
    const output = model.velocity(vectors.tensor("xt"), vectors.tensor("t"));
    assertClose(await output.read(), vectors.values("output"), 1e-5);
  },
);

testOnCpu("loadCheckpoint() refuses invalid files without allocating memory", async (device) => {
  const state = await stateOf(createModel(info.config, 0));
  const config = '{"type":"UNet_FM_Residuals","filters":[2,4],"t_emb":3,"channels":3,"attn":true,"groups":2}';
  const levels = JSON.stringify(Array(1_000_000).fill(2));
  const side = /two integers from 1 to 4096/;
  const cases: readonly (readonly [metadata: Record<string, string>, name: string, message: RegExp])[] = [
    [{ config, format_version: "2" }, "CheckpointError", /its format is 2 \(expected 1\)/],
    [{ config: "{" }, "CheckpointError", /its config is not JSON/],
    [{ config: "[]" }, "CheckpointError", /its config is invalid/],
    [{ config: config.replace("FM_R", "FM_r") }, "CheckpointError", /did you mean "UNet_FM_Residuals"/],
    [{ config: config.replace("filters", "filter") }, "CheckpointError", /did you mean "filters"/],
    [{ config: config.replace("true", "false") }, "StateError", /unknown name "mid_attn.gn.weight"/],
    [{ config, normalization: '{"scale":"2","shift":0}' }, "CheckpointError", /its normalization is/],
    [{ config, normalization: '{"scale":0,"shift":0}' }, "CheckpointError", /a scale other than 0/],
    [{ config, image_size: "[28]" }, "CheckpointError", /its image_size is \[28\]/],
    ...["[12.5,12]", "[0,12]", "[20000,20000]"].map((image_size) =>
      [{ config, image_size }, "CheckpointError", side] as const
    ),
    [
      { config: config.replace("[2,4]", levels) },
      "StateError",
      /its network has 1000000 levels, but the file/,
    ],
    [{ config: config.replace("[2,4]", "[1000000,1000000]") }, "StateError", /"downs.0.conv.weight" is/],
  ];
  loadCheckpoint(encodeSafetensors(state, { config }), "a file");
  const before = device.allocatedBytes;
  for (const [metadata, name, message] of cases) {
    assert.throws(() => loadCheckpoint(encodeSafetensors(state, metadata), "a file"), { name, message });
  }
  const damaged = new Map([...state, ["last.bias", { shape: [3], data: Float32Array.of(0, NaN, 0) }]]);
  assert.throws(() => loadCheckpoint(encodeSafetensors(damaged as typeof state, { config }), "a file"), {
    name: "StateError",
    message: /^Cannot load a file: "last.bias" is NaN at index 1 \(expected finite numbers\)/,
  });
  assert.ok(device.allocatedBytes <= before + 2 ** 20, "a file that lies about its network took memory");
});

testNeeding(
  { read: true, write: true, net: true },
  "openCheckpoint() reads a path, a file URL and a web address",
  async () => {
    await init({ device: "cpu" });
    const config = { type: "UNet_FM", filters: [2, 4], tEmb: 4, channels: 2 } as const;
    const model = createModel(config, 5);
    const bytes = await saveCheckpoint(model, {
      config,
      normalization: { scale: 2, shift: -1 },
      imageSize: [6, 4],
    });
    await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
      return request.url.endsWith("/model")
        ? new Response(bytes)
        : new Response("gone", { status: 404, statusText: "Not Found" });
    });
    const web = `http://127.0.0.1:${server.addr.port}`;
    await withFolder(async (folder) => {
      const path = join(folder, "a 100% #1.safetensors"); // characters that a URL would interpret
      await Deno.writeFile(path, bytes);
      for (const source of [path, pathToFileURL(path), `${web}/model`]) {
        const opened = await openCheckpoint(source);
        assertSameNumbers(await stateOf(opened.model), await stateOf(model));
        assert.deepEqual(opened.shape, [2, 6, 4]);
        assert.deepEqual(opened.range, [-1, 1]);
      }
      await assert.rejects(openCheckpoint(join(folder, "none")), {
        name: "CheckpointError",
        message: new RegExp(`^Cannot open ${folder}/none: .*no such file`),
      });
      await assert.rejects(openCheckpoint(`${web}/none`), {
        message: `Cannot open ${web}/none: 404 Not Found`,
      });
    });
  },
);

const normalization = { scale: 2, shift: -1 };

Deno.test("pixels: toPixels() inverts fromPixels(), velocities are only scaled, asBytes() rounds and clips", () => {
  const pixels = Float32Array.of(-0.5, 0, 0.25, 1, 1.5);
  assert.deepEqual(fromPixels(pixels, normalization), Float32Array.of(-2, -1, -0.5, 1, 2));
  assertSameNumbers(toPixels(fromPixels(pixels, normalization), normalization), pixels);
  const [image, velocity] = [Float32Array.of(-1, 1), Float32Array.of(-1, 3)];
  const seen = { t: 0.3, image: Float32Array.of(0, 1), velocity: Float32Array.of(-0.5, 1.5) };
  assertSameNumbers(snapshotToPixels({ t: 0.3, image, velocity }, normalization), seen);
  assert.deepEqual(snapshotToPixels({ t: 1, image }, normalization), { t: 1, image: Float32Array.of(0, 1) });
  const levels = asBytes(Float32Array.of(-0.2, 0, 0.3, 100.4 / 255, 1, 1.7)).map((pixel) => pixel * 255);
  assertClose(levels, [0, 0, 77, 100, 255, 255], 1e-4);
});
