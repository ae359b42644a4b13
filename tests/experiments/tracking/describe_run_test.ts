import assert from "node:assert/strict";
import {
  describeRun,
  isResult,
  latestOf,
  mlflowKey,
  pointOf,
  settingsOf,
  sortedMetrics,
  textEntry,
} from "../../../experiments/tracking/describe_run.ts";
import { newRecord, type RecordedDataset } from "../../../experiments/tracking/record.ts";
import { testInFolder } from "../../folder.ts";
import { valuesOf } from "./mirrored.ts";

const about = { name: "a *run*", experiment: "x", source: "a test", startedAt: 0 };
const record = newRecord(about);
const anyDataset: RecordedDataset = {
  ...{ name: "d", digest: "ab", source: "d", channels: 1, height: 4, width: 5, classes: 0 },
  ...{ train: 3, validation: 2, test: 1 },
};

Deno.test("mlflowKey() converts names to those that MLflow accepts", () => {
  const cases = {
    ...{ "system/gpu 0:used.bytes-1": "system/gpu 0:used.bytes-1", "größe": "größe", "a#b+c%": "a_b_c_" },
    ...{ "/a//b/": "a/b", "a/../b": "a/_/b", "a..b": "a._b", "..": "_", "": "_" },
    [`${"a".repeat(249)}/b`]: "a".repeat(249),
  };
  for (const [name, key] of Object.entries(cases)) assert.equal(mlflowKey(name), key, name);
});

Deno.test("pointOf() and textEntry() write what servers accept", () => {
  assert.deepEqual(pointOf("loss", 0.5, 17.9, 3.5), { key: "loss", value: 0.5, timestamp: 17, step: 3 });
  for (const value of [NaN, Infinity, -Infinity]) {
    assert.equal(pointOf("loss", value, 0, 0).value, String(value));
  }
  const values = [["text", "text"], [1, "1"], [false, "false"], [[4, 8], "[4,8]"]];
  for (const [value, text] of values) assert.equal(textEntry("param", "key", value).value, text);
  const long = textEntry("tag", "key", "x".repeat(9000)).value;
  assert.deepEqual([long.length, long.slice(-4)], [8000, "x..."]);
  assert.equal(textEntry("param", "key", "x".repeat(6000)).value.length, 6000);
});

testInFolder("describeRun() includes the shape, channels and classes of a data set", async (run) => {
  const counts = { train: 3, validation: 2, test: 1 };
  const classNames = ["cat", "owl"];
  const cases: [Partial<RecordedDataset>, number[], object][] = [
    [{}, [-1, 4, 5], { channels: 1 }],
    [{ classes: 10 }, [-1, 4, 5], { channels: 1, classes: 10 }],
    [{ channels: 3, classes: 26 }, [-1, 3, 4, 5], { channels: 3, classes: 26 }],
    [{ classes: 2, classNames }, [-1, 4, 5], { channels: 1, classes: 2, classNames }],
  ];
  for (const [change, shape, facts] of cases) {
    const dataset = { ...anyDataset, ...change };
    const { inputs: [input] } = await describeRun(run, { ...record, dataset });
    assert.deepEqual(JSON.parse(input.dataset.profile), { ...counts, ...facts, sha256: "ab" });
    const { features, targets } = JSON.parse(input.dataset.schema).mlflow_tensorspec;
    assert.deepEqual(JSON.parse(features)[0]["tensor-spec"].shape, shape);
    assert.equal(targets !== undefined, dataset.classes > 0, "only data with classes has targets");
  }
});

Deno.test("settingsOf() names settings like flags, and omits those without effect", () => {
  const dataset = { ...anyDataset, name: "d", train: 3, validation: 2 };
  const facts = { parameters: 7, dataset: "d", "train-images": 3, "validation-images": 2 };
  const cases: [config: Record<string, unknown>, params: Record<string, unknown>][] = [
    [{ batchSize: 8, name: "x", out: "y", data: null }, { "batch-size": 8 }],
    [{ optimizer: "adamw", muonLr: 1, beta1: 0.9, momentum: 0.9 }, { optimizer: "adamw", beta1: 0.9 }],
    [{ optimizer: "sgd", momentum: 0.9, eps: 1 }, { optimizer: "sgd", momentum: 0.9 }],
    [{ teacher: null, stages: null, teacherGuidance: 1.4, flip: false }, { flip: false }],
    [
      { teacher: "a", stages: "mean:steps=9", teacherGuidance: 1.4, flip: false },
      { teacher: "a", stages: "mean:steps=9", "teacher-guidance": 1.4 },
    ],
    [{ teacher: null, stages: null, teacherGuidance: 1.4, maxGuidance: 1, flip: false }, { flip: false }],
    [{ epochs: 0, maxSteps: 20, maxMinutes: 0 }, { "max-steps": 20 }],
    [{ model: "base", attn: false, groups: 8 }, { model: "base", attn: false }],
    [
      { model: `./mine.ts@sha256:${"0f".repeat(32)}:hidden=128,attn=true`, lr: 1 },
      { model: "mine.ts", "model-sha256": "0f".repeat(32), hidden: "128", attn: "true", lr: 1 },
    ],
  ];
  for (const [config, params] of cases) {
    const record = newRecord({ ...about, parameterCount: 7, dataset });
    assert.deepEqual(settingsOf(record, config), { ...params, ...facts });
  }
});

testInFolder(
  "describeRun() includes settings, code and results, and escapes names in the note",
  async (run) => {
    const config = { model: "base", filters: [4, 8], lr: 0.5, name: "x", out: "y", mlflow: "z", data: null };
    await Deno.writeTextFile(`${run}/config.json`, JSON.stringify(config));
    const code = { gitCommit: "0123456789abcdef", codeDigest: "ab" };
    await Deno.writeTextFile(`${run}/environment.json`, JSON.stringify(code));
    const lines = [{ step: 7, elapsed_seconds: 90, test_loss: 0.123456 }, {
      step: 6,
      val_loss: "NaN",
      test_loss: 9,
    }];
    await Deno.writeTextFile(
      `${run}/metrics.jsonl`,
      lines.map((line) => `${JSON.stringify(line)}\n`).join(""),
    );
    assert.deepEqual((await latestOf(run, 5)).test_loss, { value: 0.123456, step: 7, time: 5 });
    const day = 24 * 3600e3; // most of which the run may have been stopped
    const ended = { ...record, status: "FINISHED", endedAt: day, parameterCount: 1234 } as const;
    const { params, tags } = await describeRun(run, ended, "r1");
    assert.deepEqual(valuesOf(params), { model: "base", filters: "[4,8]", lr: "0.5", parameters: "1234" });
    const { "mlflow.note.content": note, ...others } = valuesOf(tags);
    assert.deepEqual(note.split("\n\n"), [
      "**base U-Net**, channels 4, 8, 1,234 parameters",
      "The run finished after 1.5 minutes: test loss 0.1235 at step 7, validation loss NaN at step 6.",
      "![samples](get-artifact?path=samples.png&run_uuid=r1)",
      `Run folder \`${run}\``,
    ]);
    assert.deepEqual([others["mlflow.source.git.commit"], others.code_digest], [code.gitCommit, "ab"]);
    assert.equal("flow.failure" in others, false);
    for (const name of ["config.json", "metrics.jsonl"]) await Deno.remove(`${run}/${name}`);
    const failed = { ...record, status: "FAILED", endedAt: 60_000, reason: "no <b>" } as const;
    const { tags: failure } = await describeRun(run, failed);
    const why = valuesOf(failure);
    assert.equal(why["flow.failure"], "no <b>");
    const says = /^\*\*a \\\*run\\\*\*\*\n\nThe run failed after 1.0 minutes: no \\<b\\>\.\n/;
    assert.match(why["mlflow.note.content"], says);
  },
);

Deno.test("sortedMetrics() puts losses first, then figures in logging order, and other metrics last", () => {
  const metrics = [
    "mine",
    "learning_rate",
    "eval/frechet",
    "eval/frechet_low",
    "val_loss",
    "eval/x",
    "test_loss",
  ];
  const sorted = sortedMetrics(metrics);
  const figures = ["eval/frechet", "eval/frechet_low", "eval/x"];
  assert.deepEqual(sorted, ["test_loss", "val_loss", ...figures, "mine", "learning_rate"]);
  assert.deepEqual(sorted.filter(isResult), ["test_loss", "val_loss", "eval/frechet", "eval/x", "mine"]);
});
