import assert from "node:assert/strict";
import { animating, comparing } from "../../../experiments/settings/tasks/animate.ts";
import { evaluating } from "../../../experiments/settings/tasks/evaluate.ts";
import { morphing } from "../../../experiments/settings/tasks/morph.ts";
import { reporting } from "../../../experiments/settings/tasks/report.ts";
import { sampling } from "../../../experiments/settings/tasks/sample.ts";
import { studying } from "../../../experiments/study/study_words.ts";
import { training } from "../../../experiments/settings/tasks/train.ts";
import {
  modelNameOf,
  modelTypeOf,
  modelTypes,
  optimizerKinds,
  scheduleNames,
  solvers,
} from "../../../models/mod.ts";
import { pacings } from "../../../viz/mod.ts";
import { assertRefused, configOf } from "./config_of.ts";

Deno.test("Settings.read() reads back what JSON.stringify() wrote", () => {
  const config = configOf("--model base --name a --lr 0.1", "paper");
  assert.deepEqual(training.read(JSON.parse(JSON.stringify(config)), "config.json"), config);
});

Deno.test("Settings.read() takes the default of a setting that the file is too old to know", () => {
  const config = configOf("--model base --val-epochs 0.5");
  const { valEpochs: _, ...older } = config;
  assert.deepEqual(training.read(older, "config.json"), { ...config, valEpochs: 1 });
});

Deno.test("Settings.read() reads words that older files spell otherwise; the command line does not", () => {
  const config = configOf("--model base --schedule one_cycle");
  assert.deepEqual(training.read({ ...config, schedule: "one-cycle" }, "config.json"), config);
  assertRefused(
    "--schedule one-cycle",
    'Cannot use --schedule "one-cycle": expected constant, cosine, one_cycle or plateau (did you mean one_cycle?)',
  );
});

Deno.test("Settings.parseWords() takes words wherever they stand among the flags", () => {
  const parse = (line: string) => evaluating.parseWords(line.split(" "));
  const expected = { words: ["runs/a", "b"], help: false, values: { count: 100, mlflow: "http://h" } };
  for (
    const line of [
      "runs/a b --count 100 --mlflow http://h",
      "--count 100 runs/a --mlflow=http://h b",
      "--count=100 --mlflow http://h runs/a b",
    ]
  ) assert.deepEqual(parse(line), expected, line);
  assert.deepEqual(reporting.parseWords(["--no-live", "a"]), {
    words: ["a"],
    help: false,
    values: { live: false },
  });
  assert.throws(() => parse("--cuont 100 a"), {
    name: "ConfigError",
    message: "Unknown flag --cuont (did you mean --count?)",
  });
  assert.throws(() => parse("--count runs/a"), {
    name: "ConfigError",
    message: /^Cannot use --count "runs\/a": expected /,
  });
  assert.throws(() => parse("a -- b"), {
    name: "ConfigError",
    message: 'Cannot use "--": only flags are expected (see --help)',
  });
});

Deno.test("Settings.help() breaks lines between words, and no default", () => {
  for (const settings of [animating, comparing, evaluating, morphing, sampling, studying, training]) {
    const lines = settings.help("deno task x").split("\n");
    const long = lines.filter((line) => line.length > 110);
    assert.deepEqual(long, []);
  }
  assert.match(
    sampling.help("deno task sample"),
    / {2}--values pixels\|network {7}values .*\n {32}.* \(default: pixels\)\n/,
  );
});

Deno.test("choices of flags are the names of the registries", () => {
  const { model, solver, optimizer, schedule, pacing } = training.rows;
  assert.deepEqual(solver.choices, Object.keys(solvers));
  assert.deepEqual(optimizer.choices, optimizerKinds);
  assert.deepEqual(schedule.choices, scheduleNames);
  assert.deepEqual([pacing.choices, animating.rows.pacing.choices], [pacings, pacings]);
  assert.deepEqual(model.choices?.map(modelTypeOf), modelTypes);
  assert.deepEqual(modelTypes.map(modelNameOf), model.choices);
});

Deno.test("Settings.read() refuses unknown, missing and unacceptable fields", () => {
  const config = configOf("--model base");
  const { lr: _, ...incomplete } = config;
  const refusals: [unknown, string][] = [
    [{ ...config, batchSise: 3 }, "Unknown field batchSise in config.json (did you mean batchSize?)"],
    [incomplete, "Missing field lr in config.json: expected a number above 0"],
    [{ ...config, lr: "0.1" }, 'Cannot use lr "0.1" in config.json: expected a number above 0'],
    [
      { ...config, filters: [] },
      "Cannot use filters [] in config.json: expected whole numbers of at least 1, such as 16,32,64",
    ],
    [
      { ...config, model: "basis" },
      'Cannot use model "basis" in config.json: expected residual or base (did you mean base?)',
    ],
  ];
  for (const [json, message] of refusals) {
    assert.throws(() => training.read(json, "config.json"), { name: "ConfigError", message });
  }
  assert.throws(
    () => training.read([], "config.json"),
    /^ConfigError: Cannot read config.json: expected an object/,
  );
});
