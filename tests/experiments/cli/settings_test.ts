import assert from "node:assert/strict";
import { evaluating } from "../../../experiments/evaluate.ts";
import { reporting } from "../../../experiments/report.ts";
import { training } from "../../../experiments/cli/training.ts";
import { configOf } from "./config_of.ts";
import { sampleTask, sampling } from "../../../experiments/sample.ts";
import { defineSettings } from "../../../experiments/cli/settings.ts";
import { stagesOf, stagesSetting } from "../../../experiments/cli/shared.ts";
import { makeVariant, variant, type VariantRegistry } from "../../../experiments/cli/kinds.ts";

Deno.test("Settings.read() reads back what JSON.stringify() wrote, and refuses other fields", () => {
  const config = configOf("--model base --name a --lr 0.1 --val-epochs 0.5", "paper");
  assert.deepEqual(training.read(JSON.parse(JSON.stringify(config)), "config.json"), config);
  const { valEpochs: _, ...older } = config;
  assert.deepEqual(
    training.read(older, "config.json"),
    { ...config, valEpochs: 1 },
    "the default if it is missing",
  );
  const { lr: __, ...incomplete } = config;
  const refusals: [unknown, string][] = [
    [{ ...config, batchSise: 3 }, "Unknown field batchSise in config.json (did you mean batchSize?)"],
    [incomplete, "Missing field lr in config.json: expected a number above 0"],
    [{ ...config, lr: "0.1" }, 'Cannot use lr "0.1" in config.json: expected a number above 0'],
    [
      { ...config, filters: [] },
      "Cannot use filters [] in config.json: expected whole numbers of at least 1, ",
    ],
    [
      { ...config, model: "basis" },
      'Cannot use model "basis" in config.json: expected residual, base or the file ',
    ],
    [[], "Cannot read config.json: expected an object"],
  ];
  for (const [json, words] of refusals) assertThrows(() => training.read(json, "config.json"), words);
});

/** Asserts a ConfigError whose message begins with words. */
function assertThrows(call: () => unknown, words: string): void {
  assert.throws(call, (error: Error) => {
    assert.ok(error.name === "ConfigError" && error.message.startsWith(words), `${error}`);
    return true;
  });
}

Deno.test("Settings.parse() accepts words anywhere among the flags", () => {
  const parse = (line: string) => evaluating.parse(line.split(" "), true);
  const expected = { words: ["runs/a", "b"], help: false, values: { count: 100, mlflow: "http://h" } };
  const lines = ["runs/a b --count 100 --mlflow http://h", "--count=100 runs/a --mlflow=http://h b"];
  for (const line of lines) assert.deepEqual(parse(line), expected, line);
  assert.deepEqual(reporting.parse(["--no-live", "a"], true).values, { live: false });
  const refused = {
    "--cuont 100 a": "Unknown flag --cuont (did you mean --count?)",
    "--count runs/a": 'Cannot use --count "runs/a": expected ',
    "a -- b": 'Cannot use "--": only flags are expected (see --help)',
  };
  for (const [line, words] of Object.entries(refused)) assertThrows(() => parse(line), words);
});

Deno.test("sample takes one checkpoint, and an output that is a picture or an array", () => {
  assert.equal(sampleTask.parse(["a"]).checkpoint, "a");
  assert.deepEqual(sampling.parse(["--image-size", "28"]).values, { imageSize: [28, 28] });
  const range = "expected two times from 0 to 1, the lower first, such as 0.1,1";
  const classes = "expected classes by name or number, such as 3,owl, or all, or none";
  const refused: Readonly<Record<string, string>> = {
    "": "Missing FILE|RUN: name the weights to use, or a run",
    "a b": "Cannot use b with a (expected one FILE or RUN)",
    "a --checkpoint b": "Cannot use b with a (expected one FILE or RUN)",
    "a --out grid.gif": 'Cannot use --out "grid.gif": expected a path that ends with .png, .npy, .npz or /',
    "a --image-size 28,0":
      'Cannot use --image-size "28,0": expected a height and a width of 1 to 4096 pixels',
    "a --values network": "--values has no effect without an array, --out FILE.npy; remove it",
    ...Object.fromEntries(
      ["", "3,", ",owl"].map((text) => [`a --class=${text}`, `Cannot use --class "${text}": ${classes}`]),
    ),
    ...Object.fromEntries(["0.1", "0.5,0.5", "0.6,0.5", "-0.1,1", "0,2", "0,1,1"].map((text) => {
      return [`a --guidance-interval=${text}`, `Cannot use --guidance-interval "${text}": ${range}`];
    })),
  };
  for (const [line, words] of Object.entries(refused)) {
    assertThrows(() => sampleTask.parse(line.split(" ").filter((word) => word !== "")), words);
  }
});

const sizes: VariantRegistry<number> = {
  fixed: { doc: "always 7", settings: {}, make: () => 7 },
  "sum-of-two": {
    doc: "a + b",
    settings: {
      first: { doc: "a", default: 1 },
      second: { doc: "b", default: 2, above: 0, max: 10 },
    },
    make: ({ first, second }) => first + second,
  },
};
const table = defineSettings({ size: variant(sizes, { doc: "size of things", default: "sum-of-two" }) });
const sizeOf = (...argv: string[]) => makeVariant(sizes, table.resolve(table.parse(argv).values).size);

Deno.test("variant() accepts a name with its settings, or their defaults, and stores its text", () => {
  assert.equal(sizeOf(), 3);
  assert.equal(sizeOf("--size", "fixed"), 7);
  assert.equal(sizeOf("--size", "sum-of-two:second=0.5"), 1.5);
  assert.equal(sizeOf("--size=sum-of-two:second=10,first=-1e1"), 0);
  const text = "sum-of-two:first=4";
  assert.deepEqual(table.parse(["--size", text]).values, { size: text });
  assert.deepEqual(table.read({ size: text }, "config.json"), { size: text });
  assertThrows(
    () => table.read({ size: 3 }, "config.json"),
    "Cannot use size 3 in config.json: expected fixed or ",
  );
});

Deno.test("variant() refuses unknown names and settings, and values out of range", () => {
  const refusals = {
    "sum-of-tow": "expected fixed or sum-of-two (did you mean sum-of-two?)",
    "sum-of-two:frist=1": "sum-of-two has no setting frist (did you mean first?); it has first, second",
    "sum-of-two:size=1": "sum-of-two has no setting size; it has first, second",
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
  for (const [text, problem] of Object.entries(refusals)) {
    assertThrows(
      () => table.parse([`--size=${text}`]),
      `Cannot use --size ${JSON.stringify(text)}: ${problem}`,
    );
  }
  assert.throws(
    () => makeVariant(sizes, "fixt"),
    /^RangeError: Cannot make "fixt": expected fixed or sum-of-two/,
  );
});

Deno.test("variant() lists names, settings and defaults in --help", () => {
  const help = table.help("deno task things", "").replaceAll(/\s+/g, " ");
  const sum = "sum-of-two:first=1,second=2 a + b; first: a; second: b";
  assert.ok(
    help.includes(`--size NAME[:KEY=X,...] size of things (default: sum-of-two) fixed always 7 ${sum}`),
    help,
  );
  const { fixed } = sizes;
  assert.equal(variant({ fixed, other: fixed }, { doc: "size of things" }).hint, "fixed|other");
});

Deno.test("stagesOf() gives each stage its share of the steps of a run", () => {
  const shares = (maxSteps: number) =>
    stagesOf({ stages: "pairs:images=8+mean:images=24", batchSize: 8, maxSteps })?.map((
      { name, from, steps },
    ) => `${name} ${from} ${steps}`);
  assert.deepEqual([shares(4), shares(8)], [["pairs 0 1", "mean 1 3"], ["pairs 0 2", "mean 2 6"]]);
  assert.equal(stagesOf({ stages: null, batchSize: 8, maxSteps: 8 }), undefined);
  const setting = stagesSetting({ doc: "" });
  assert.ok(setting.accepts("drift+mean") && !setting.accepts("drift+mean:count=1"));
  assert.equal(setting.problem?.("pairs+maen+drift")?.split(" (")[1], "did you mean mean?)");
});
