import assert from "node:assert/strict";
import { defineSettings } from "../../../experiments/cli/settings.ts";
import { stagesOf } from "../../../experiments/cli/stages.ts";
import { makeVariant, variant, type VariantRegistry } from "../../../experiments/cli/kinds.ts";

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

Deno.test("variant() accepts a name with its settings, or their defaults", () => {
  assert.equal(sizeOf(), 3);
  assert.equal(sizeOf("--size", "fixed"), 7);
  assert.equal(sizeOf("--size", "sum-of-two:second=0.5"), 1.5);
  assert.equal(sizeOf("--size=sum-of-two:second=10,first=-1e1"), 0);
});

Deno.test("variant() stores its text in config.json", () => {
  const text = "sum-of-two:first=4";
  assert.deepEqual(table.parse(["--size", text]).values, { size: text });
  assert.deepEqual(table.read({ size: text }, "config.json"), { size: text });
  assert.throws(() => table.read({ size: 3 }, "config.json"), {
    message: "Cannot use size 3 in config.json: expected fixed or sum-of-two",
  });
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
    const start = `Cannot use --size ${JSON.stringify(text)}: ${problem}`;
    assert.throws(() => table.parse([`--size=${text}`]), (error: Error) => {
      assert.equal(error.name, "ConfigError");
      assert.equal(error.message.slice(0, start.length), start);
      return true;
    });
  }
  assert.throws(
    () => makeVariant(sizes, "fixt"),
    /^RangeError: Cannot make "fixt": expected fixed or sum-of-two/,
  );
});

Deno.test("variant() lists names, settings and defaults in --help", () => {
  const lines = table.help("deno task things", "").split("\n");
  const start = lines.findIndex((line) => line.includes("--size NAME[:KEY=X,...]"));
  assert.deepEqual(lines.slice(start, start + 5).map((line) => line.trim()), [
    "--size NAME[:KEY=X,...]",
    "size of things (default: sum-of-two)",
    "fixed  always 7",
    "sum-of-two:first=1,second=2  a + b; first: a; second:",
    "b",
  ]);
  const { fixed } = sizes;
  assert.equal(variant({ fixed, other: fixed }, { doc: "size of things" }).hint, "fixed|other");
});

Deno.test("stagesOf() gives each stage its share of the steps of a run", () => {
  const shares = (maxSteps: number) =>
    stagesOf({ stages: "bake:images=8+mean:images=24", batchSize: 8, maxSteps })?.map((
      { name, from, steps },
    ) => `${name} ${from} ${steps}`);
  assert.deepEqual([shares(4), shares(8)], [["bake 0 1", "mean 1 3"], ["bake 0 2", "mean 2 6"]]);
  assert.equal(stagesOf({ stages: null, batchSize: 8, maxSteps: 8 }), undefined);
});
