import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { testNeeding } from "../permissions.ts";
import { compare } from "./compare.ts";
import { readReport, type Report, ReportError } from "./report.ts";
import { type Measurement, measurement, median, timeInTurn, type Work } from "./timing.ts";

const report = (times: Record<string, number>): Report => ({
  device: "made up",
  measurements: Object.entries(times).map(([name, milliseconds]): Measurement =>
    measurement({ name, amount: 32, unit: "images/s" }, milliseconds)
  ),
  facts: [],
});

Deno.test("median() finds the middle value in any order, and keeps its input", () => {
  const values = [30, 1, 200, 4, 5];
  assert.equal(median(values), 5);
  assert.deepEqual(values, [30, 1, 200, 4, 5]);
  assert.equal(median([10, 2, 3, 100]), 6.5);
  assert.equal(median([7]), 7);
  assert.throws(() => median([]), RangeError);
});

Deno.test("measurement() gives the rate per second", () => {
  assert.equal(measurement({ name: "a", amount: 32, unit: "images/s" }, 250).rate, 128);
  assert.equal(measurement({ name: "a", amount: 4e9, unit: "GFLOP/s" }, 500).rate, 8);
});

Deno.test("timeInTurn() warms up, then alternates between the works", async () => {
  const order: string[] = [];
  const counts = new Map<string, number[]>([["a", []], ["b", []]]);
  const work = (name: string): Work => ({
    name,
    amount: 1,
    unit: "steps/s",
    run(count) {
      order.push(name);
      counts.get(name)!.push(count);
      return Promise.resolve();
    },
  });
  const found = await timeInTurn([work("a"), work("b")], 3);
  assert.deepEqual(found.map(({ name }) => name), ["a", "b"]);
  assert.equal(order.join(""), "aabb" + "ababab");
  for (const [, [warmUp, first, ...timed]] of counts) {
    assert.deepEqual([warmUp, first], [1, 1]);
    assert.equal(new Set(timed).size, 1);
  }
});

Deno.test("compare() marks changes above 10 %, and lists works of only one report", () => {
  const old = report({ same: 100, edge: 100, slow: 100, fast: 100, gone: 1 });
  const now = report({ fresh: 1, fast: 80, slow: 125, edge: 109, same: 100 });
  const { changes, onlyOld, onlyNew } = compare(old, now);
  assert.deepEqual(changes, [
    { name: "fast", ratio: 0.8, mark: "faster" },
    { name: "slow", ratio: 1.25, mark: "slower" },
    { name: "edge", ratio: 1.09, mark: "" },
    { name: "same", ratio: 1, mark: "" },
  ]);
  assert.deepEqual([onlyOld, onlyNew], [["gone"], ["fresh"]]);
});

for (
  const [args, line] of [
    [
      "--fast",
      "Unknown option '--fast' (known: --json, --device, --threads, --ops, --networks, --shares, --precision)",
    ],
    ["--device gpu", "Cannot use --device gpu (expected auto or webgpu or cpu)"],
    ["--device", "Option '--device <value>' argument missing (known: --json, "],
  ]
) {
  testNeeding({ read: true, run: true }, `bench ${args} is refused in one line`, async () => {
    const bench = fileURLToPath(import.meta.resolve("./bench.ts"));
    const command = ["run", "--allow-read", bench, ...args.split(" ")];
    const { code, stderr } = await new Deno.Command(Deno.execPath(), { args: command }).output();
    const said = new TextDecoder().decode(stderr).split("\n").filter((text) => text !== "");
    assert.equal(code, 1);
    assert.equal(said.length, 1);
    assert.ok(said[0].startsWith(line), said[0]);
  });
}

testNeeding({ read: true, run: true }, "bench --help lists its flags with their defaults", async () => {
  const bench = fileURLToPath(import.meta.resolve("./bench.ts"));
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-read", bench, "--help"],
  }).output();
  assert.equal(code, 0);
  assert.match(new TextDecoder().decode(stdout), /^ {2}--device VALUE \(default: auto\)$/m);
});

Deno.test("readReport() reads a written report, and explains what is wrong with other text", () => {
  const written = report({ a: 1.5 });
  assert.deepEqual(readReport(JSON.stringify(written), "a.json"), written);
  for (const text of ["", "null", "[]", '{"device": "x"}', '{"measurements": []}']) {
    assert.throws(() => readReport(text, "a.json"), (error) => {
      assert.ok(error instanceof ReportError);
      assert.match(
        error.message,
        /^Cannot read a\.json: .* \(expected what a benchmark prints with --json\)$/,
      );
      return true;
    });
  }
  for (const found of [null, {}, { name: "a" }, { name: "a", milliseconds: 0 }]) {
    const text = JSON.stringify({ device: "x", measurements: [found] });
    assert.throws(() => readReport(text, "a.json"), /measurement 0 has no name or no milliseconds above 0/);
  }
});
