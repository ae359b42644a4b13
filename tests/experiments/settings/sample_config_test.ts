import assert from "node:assert/strict";
import { sampleTask, sampling } from "../../../experiments/sample.ts";

Deno.test("sample requires a checkpoint, and an output that is a picture or an array", () => {
  const config = sampling.resolve(sampling.parse(["--checkpoint", "a.safetensors", "--count", "9"]).values);
  assert.deepEqual(config, {
    checkpoint: "a.safetensors",
    count: 9,
    seed: 0,
    solver: "heun:steps=20",
    class: null,
    guidance: null,
    guidanceInterval: null,
    cfgZero: false,
    columns: 0,
    out: "grid.png",
    values: "pixels",
    device: "auto",
    threads: 0,
    model: null,
    filters: null,
    tEmb: null,
    attn: null,
    groups: null,
    timeEmbedding: null,
    path: null,
    prediction: null,
    channels: null,
    classes: null,
    imageSize: null,
    normalize: null,
  });
  assert.throws(() => sampling.resolve({}), /^ConfigError: Missing --checkpoint FILE\|RUN: /);
  assert.throws(() => sampling.parse(["--out", "grid.gif"]), {
    message: 'Cannot use --out "grid.gif": expected a path that ends with .png or .npy',
  });
  assert.throws(() => sampling.parse(["--image-size", "28"]), {
    message: 'Cannot use --image-size "28": expected two whole numbers of at least 1, such as 28,28',
  });
  for (const words of ["", "3,", "a", "1.5", "-1", "any"]) {
    assert.throws(() => sampling.parse([`--class=${words}`]), {
      message: `Cannot use --class "${words}": expected classes such as 3,1,4, or all, or none`,
    });
  }
  for (const words of ["0.1", "0.5,0.5", "0.6,0.5", "-0.1,1", "0,2", "0,1,1"]) {
    assert.throws(() => sampling.parse([`--guidance-interval=${words}`]), {
      message: `Cannot use --guidance-interval "${words}": ` +
        "expected two times from 0 to 1, the lower first, such as 0.1,1",
    });
  }
  assert.throws(() => sampleTask.parse(["--checkpoint", "a.safetensors", "--values", "network"]), {
    message:
      "Cannot use --values with --out grid.png: a picture shows pixels (expected an .npy, or no --values)",
  });
});
