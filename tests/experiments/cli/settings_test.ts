import assert from "node:assert/strict";
import { chooseVariant, variant, type VariantRegistry } from "../../../experiments/cli/kinds.ts";
import { defineSettings } from "../../../experiments/cli/settings.ts";
import { evaluating } from "../../../experiments/evaluate.ts";
import { configIn, configJson } from "../../../experiments/settings/config_file.ts";
import { plannedStages, readStages, stagesSetting } from "../../../experiments/settings/stages.ts";
import { configOf } from "../config_of.ts";
import { reporting } from "../../../experiments/report.ts";
import { sampleTask, sampling } from "../../../experiments/sample.ts";

/** Asserts that each key makes a call throw a ConfigError whose message begins with the words. */
function assertRefuses(call: (key: string) => unknown, refusals: Readonly<Record<string, string>>): void {
  for (const [key, words] of Object.entries(refusals)) {
    const message = RegExp(`^${RegExp.escape(words)}`);
    assert.throws(() => call(key), { name: "ConfigError", message }, key);
  }
}

Deno.test("a config.json is read as it was written, and other fields are refused", () => {
  const config = configJson(configOf({ model: "base", name: "a", lr: 0.1, valEpochs: 0.5 }, "paper"));
  const read = (changes: object) =>
    configJson(configIn(JSON.parse(JSON.stringify({ ...config, ...changes })), "config.json"));
  assert.deepEqual(read({}), config);
  assert.deepEqual(read({ valEpochs: undefined }), { ...config, valEpochs: 1 }, "the default");
  const changes: Record<string, object> = {
    unknown: { batchSise: 3 },
    missing: { lr: undefined },
    text: { lr: "0.1" },
    empty: { filters: [] },
    model: { model: "basis" },
  };
  assertRefuses((change) => read(changes[change]), {
    unknown: "Unknown field batchSise in config.json (did you mean batchSize?)",
    missing: "Missing field lr in config.json: expected a number above 0",
    text: 'Cannot use lr "0.1" in config.json: expected a number above 0',
    empty: "Cannot use filters [] in config.json: expected whole numbers of at least 1, ",
    model: 'Cannot use model "basis" in config.json: expected residual, base or the file ',
  });
  assertRefuses(() => configIn([], "config.json"), {
    "[]": "Cannot read config.json: expected an object",
  });
});

Deno.test("Settings.parse() accepts words anywhere among the flags", () => {
  const parse = (line: string) => evaluating.parse(line.split(" "), true);
  const expected = { words: ["runs/a", "b"], help: false, values: { count: 100, mlflow: "http://h" } };
  const lines = ["runs/a b --count 100 --mlflow http://h", "--count=100 runs/a --mlflow=http://h b"];
  for (const line of lines) assert.deepEqual(parse(line), expected, line);
  assert.deepEqual(reporting.parse(["--no-live", "a"], true).values, { live: false });
  assertRefuses(parse, { "a -- b": 'Cannot use "--": only flags are expected (see --help)' });
});

Deno.test("sample takes one checkpoint, and an output that is a picture or an array", () => {
  assert.equal(sampleTask.parse(["a"]).checkpoint, "a");
  assert.deepEqual(sampling.parse(["--image-size", "28"]).values, { imageSize: [28, 28] });
  const range = "expected two times from 0 to 1, the lower first, such as 0.1,1";
  const classes = "expected classes by name or number, such as 3,owl, or all, or none";
  const refusals = (flag: string, values: readonly string[], why: string) =>
    Object.fromEntries(
      values.map((value) => [`a ${flag}=${value}`, `Cannot use ${flag} "${value}": ${why}`]),
    );
  assertRefuses((line) => sampleTask.parse(line.split(" ").filter((word) => word !== "")), {
    "": "Missing FILE|RUN: name the weights to use, or a run",
    "a b": "Cannot use b with a (expected one FILE or RUN)",
    "a --checkpoint b": "Cannot use b with a (expected one FILE or RUN)",
    "a --values network": "--values has no effect without an array, --out FILE.npy; remove it",
    ...refusals("--out", ["grid.gif", "docs/.."], "expected a path that ends with .png, .npy, .npz or /"),
    ...refusals("--image-size", ["28,0"], "expected a height and a width of 1 to 4096 pixels"),
    ...refusals("--class", ["", "3,", ",owl"], classes),
    ...refusals("--guidance-interval", ["0.1", "0.5,0.5", "0.6,0.5", "-0.1,1", "0,2", "0,1,1"], range),
  });
});

const sizes: VariantRegistry<number> = {
  fixed: { doc: "always 7", settings: {}, make: () => 7 },
  "sum-of-two": {
    doc: "a + b",
    settings: { first: { doc: "a", default: 1 }, second: { doc: "b", default: 2, above: 0, max: 10 } },
    make: ({ first, second }) => first + second,
  },
};
const table = defineSettings({ size: variant(sizes, { doc: "size of things", default: "sum-of-two" }) });

Deno.test("variant() takes a name with its settings, or their defaults, and keeps its text", () => {
  const sizeOf = (...argv: string[]) => table.resolve(table.parse(argv).values).size.value;
  assert.equal(sizeOf(), 3);
  assert.equal(sizeOf("--size", "fixed"), 7);
  assert.equal(sizeOf("--size", "sum-of-two:second=0.5"), 1.5);
  assert.equal(sizeOf("--size=sum-of-two:second=10,first=-1e1"), 0);
  const size = "sum-of-two:first=4";
  const values = { size: { name: "sum-of-two", value: 6, text: size } };
  assert.deepEqual(table.parse(["--size", size]).values, values);
  assert.deepEqual(table.read({ size }, "config.json"), values);
  assert.deepEqual(table.write(values), { size });
  assertRefuses((key) => table.read({ size: Number(key) }, "config.json"), {
    3: "Cannot use size 3 in config.json: expected fixed or ",
  });
  const problems = {
    "sum-of-tow": "expected fixed or sum-of-two (did you mean sum-of-two?)",
    "sum-of-two:frist=1": "sum-of-two has no setting frist (did you mean first?); it has first, second",
    "fixed:first=1": "fixed has no setting first; it has none",
    "sum-of-two:second=0": 'second of sum-of-two is "0" (expected a number above 0 and of at most 10)',
    "sum-of-two:first=": 'first of sum-of-two is "" (expected a number)',
    "sum-of-two:first=1,first=2": "first is given twice",
    "sum-of-two:": '"" is not a setting (expected sum-of-two:key=value,key=value)',
    "sum-of-two:first": '"first" is not a setting (expected sum-of-two:key=value,key=value)',
    "sum-of-two:first=1=2": 'first of sum-of-two is "1=2" (expected a number)',
    "sum-of-two:first=1:second=2": 'first of sum-of-two is "1:second=2" (expected a number)',
    "": "expected fixed or sum-of-two",
    "toString": "expected fixed or sum-of-two",
  };
  for (const [text, problem] of Object.entries(problems)) {
    const says = `Cannot use --size ${JSON.stringify(text)}: ${problem}`;
    assertRefuses((text) => table.parse([`--size=${text}`]), { [text]: says });
  }
  assert.throws(() => chooseVariant(sizes, "fixt"), /^RangeError: Cannot make "fixt": expected fixed or /);
});

Deno.test("variant() lists names, settings and defaults in --help", () => {
  const help = table.help("deno task things", "").replaceAll(/\s+/g, " ");
  const sum = "sum-of-two:first=1,second=2 a + b; first: a; second: b";
  const line = `--size NAME[:KEY=X,...] size of things (default: sum-of-two) fixed always 7 ${sum}`;
  assert.ok(help.includes(line), help);
  const { fixed } = sizes;
  assert.equal(variant({ fixed, other: fixed }, { doc: "size of things" }).hint, "fixed|other");
});

Deno.test("plannedStages() gives each stage its share of the steps of a run", () => {
  const shares = (steps: number) =>
    plannedStages(readStages(["pairs:images=8", "mean:images=24"]), 8, steps)
      .map(({ name, from, steps }) => `${name} ${from} ${steps}`);
  assert.deepEqual([shares(4), shares(8)], [["pairs 0 1", "mean 1 3"], ["pairs 0 2", "mean 2 6"]]);
  const setting = stagesSetting({ doc: "" });
  assert.ok(setting.accepts("drift+mean") && setting.accepts(["drift", "mean"]), "files have one text");
  assert.ok(!setting.accepts("drift+mean:count=1") && !setting.accepts(["drift+mean"]));
  const stages = readStages("pairs+drift:images=9");
  assert.deepEqual(readStages(setting.write!(stages)), stages);
  assert.equal(setting.problem?.("pairs+maen+drift")?.split(" (")[1], "did you mean mean?)");
});
