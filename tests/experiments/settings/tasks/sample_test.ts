import assert from "node:assert/strict";
import { resolveSampleConfig, sampling } from "../../../../experiments/settings/tasks/sample.ts";

Deno.test("sampling needs a checkpoint and a picture or an array to write", () => {
  const config = sampling.resolve(sampling.parse(["--checkpoint", "a.safetensors", "--count", "9"]).values);
  assert.deepEqual(config, {
    checkpoint: "a.safetensors",
    count: 9,
    seed: 0,
    solver: "heun",
    steps: 20,
    grid: "uniform",
    rtol: null,
    atol: null,
    maxEvaluations: null,
    noise: null,
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
  const flags = sampling.parse(["--checkpoint", "a.safetensors", "--values", "network"]);
  assert.throws(() => resolveSampleConfig(flags), {
    message:
      "Cannot use --values with --out grid.png: a picture shows pixels (expected an .npy, or no --values)",
  });
});

Deno.test("sampling takes one way to solve, and refuses flags that have no effect with it", () => {
  const resolve = (...argv: string[]) =>
    resolveSampleConfig(sampling.parse(["--checkpoint", "a.safetensors", ...argv])).chosen;
  assert.equal(resolve().words, "heun, 20 steps");
  assert.equal(resolve("--grid", "0,0.5,1").words, "heun, 2 steps, times 0,0.5,1");
  const { how } = resolve("--solver", "bosh3", "--atol", "0.01", "--max-evaluations", "30");
  assert.deepEqual(how, { method: "adaptive", solver: "bosh3", rtol: 0.01, atol: 0.01, maxEvaluations: 30 });
  for (
    const [flags, says] of [
      [
        ["--rtol", "1e-3"],
        "--rtol 0.001: heun cannot choose its own steps (expected --solver bosh3 or dopri5)",
      ],
      [
        ["--solver", "dopri5", "--rtol", "1e-3", "--grid", "quadratic"],
        "--grid quadratic: with --rtol or --atol, dopri5 chooses its own steps (leave one of them out)",
      ],
      [
        ["--solver", "dopri5", "--max-evaluations", "9"],
        "--max-evaluations 9: the steps are fixed (expected --rtol or --atol with it)",
      ],
      [["--noise", "1"], "--noise 1: heun adds no noise (expected --solver sde)"],
    ] as const
  ) assert.throws(() => resolve(...flags), { name: "ConfigError", message: `Cannot use ${says}` });
});
