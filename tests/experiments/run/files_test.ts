import assert from "node:assert/strict";
import {
  aboutFile,
  fileAt,
  filesOfTraining,
  isRunFile,
  rows,
  runFile,
  shownIn,
  whenMirrored,
} from "../../../experiments/run/files.ts";
import { count } from "../../../experiments/run/field_checks.ts";
import { TensorFile, tensorsOf } from "../../../experiments/run/weights.ts";
import { encodeSafetensors } from "../../../models/mod.ts";
import { trainingConfig } from "../../../experiments/cli/training_config.ts";

Deno.test("fileAt() puts a value into the path of a file, and isRunFile() recognises the result", () => {
  const cases: [path: string, row: string][] = [
    [fileAt(runFile.weightsAt, 500), "weights/step_000500.safetensors"],
    [fileAt(runFile.sampleGrid, 1234567), "samples/step_1234567.png"],
    [fileAt(runFile.pairs, 0), "pairs/part_0000.safetensors"],
    [fileAt(runFile.flow, 12), "flow/sample_12.safetensors"],
    [fileAt(runFile.flowAnimation, "inv_quadratic"), "flow_inv_quadratic.gif"],
  ];
  for (const [path, expected] of cases) {
    assert.equal(path, expected);
    assert.equal(rows.filter((row) => isRunFile(row.path, path)).length, 1, path);
  }
  for (
    const other of [
      "flow/sample_0.safetensors",
      "flow/sample_1.safetensors.tmp",
      "x/flow/sample_1.safetensors",
    ]
  ) {
    assert.ok(!isRunFile(runFile.flow, other), other);
    assert.equal(aboutFile(other), "");
  }
});

Deno.test("the report shows some files, and a server gets most, some at the end", () => {
  assert.equal(shownIn("flow/sample_12.safetensors"), "report.html#flow");
  assert.equal(shownIn("last.safetensors"), "");
  const mirrored = {
    "as it changes": ["run.json", "notes.txt"],
    "at the end": ["metrics.jsonl", "last.safetensors"],
    "never": ["pairs/part_0001.safetensors", "cells/a/run.json", "mlflow.json"],
  };
  for (const [when, paths] of Object.entries(mirrored)) {
    for (const path of paths) assert.equal(whenMirrored(path), when, path);
  }
});

Deno.test("filesOfTraining() follows the settings", () => {
  const settings = {
    conditional: false,
    guidance: 1,
    samples: 0,
    pathSamples: 0,
    pacing: "quadratic",
  } as const;
  const config = trainingConfig({ model: "base", ema: 0.9, ...settings });
  const plain = filesOfTraining({ config });
  const more = filesOfTraining({
    config: { ...config, guidance: 2, samples: 4, teacher: "t", stages: "pairs" },
    hasValidation: true,
    onGpu: true,
  });
  assert.ok(plain.includes("flow_quadratic.gif") && plain.includes("ema.safetensors"));
  assert.deepEqual(more.filter((path) => path.includes("<time>")), [], "files of a resumed run");
  assert.deepEqual(plain.filter((path) => !more.includes(path)), []);
  assert.deepEqual(more.filter((path) => !plain.includes(path)).sort(), [
    ...["best.safetensors", "early.safetensors", "few_steps.png", "kernels.json"],
    ...["pairs/part_<part>.safetensors", "samples.png", "samples/step_<step>.png", "teacher.safetensors"],
  ]);
});

Deno.test("TensorFile refuses tensors of another shape, and values that are not finite", () => {
  const tensors = tensorsOf({ x: [2], labels: [2], nan: [1], far: [1] }, {
    ...{ x: [1, 2], labels: [0, 255], nan: [NaN], far: [Infinity] },
  });
  const file = new TensorFile(encodeSafetensors(tensors, { step: "3" }), "a file", "delete it");
  assert.deepEqual([...file.read("x", 2)], [1, 2]);
  assert.deepEqual([...file.labels("labels", 2)], [0, 255]);
  assert.equal(file.field("step", count), 3);
  const refused: [read: () => unknown, why: string][] = [
    [() => file.read("x", 3), "x is f32[2] (expected f32[3])"],
    [() => file.read("y", 2), "y is missing (expected f32[2])"],
    [() => file.read("nan", 1), "nan holds NaN or infinities"],
    [() => file.read("far", 1), "far holds NaN or infinities"],
    [() => file.labels("far", 1), "far holds NaN or infinities"],
    [() => file.field("steps", count), "its metadata has no steps (expected a whole number of at least 0)"],
  ];
  for (const [read, why] of refused) {
    assert.throws(read, { name: "RunError", message: `Cannot read a file: ${why}; delete it` });
  }
});
