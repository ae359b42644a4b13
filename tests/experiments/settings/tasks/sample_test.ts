import assert from "node:assert/strict";
import { sampling } from "../../../../experiments/settings/tasks/sample.ts";

Deno.test("sampling needs a checkpoint and a picture or an array to write", () => {
  const config = sampling.resolve(sampling.parse(["--checkpoint", "a.safetensors", "--count", "9"]).values);
  assert.deepEqual(config, {
    checkpoint: "a.safetensors",
    count: 9,
    seed: 0,
    solver: "heun",
    steps: 20,
    columns: 0,
    out: "grid.png",
    device: "auto",
    threads: 0,
  });
  assert.throws(() => sampling.resolve({}), /^ConfigError: Missing --checkpoint FILE: /);
  assert.throws(() => sampling.parse(["--out", "grid.gif"]), {
    message: 'Cannot use --out "grid.gif": expected a path that ends with .png or .npy',
  });
});
