import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { testNeeding } from "../permissions.ts";
import { matmul, record, type RecordedStep, slice, square, zeros } from "../../kernels/mod.ts";
import { testOnCpu } from "../testing.ts";
import { tableOf } from "./roofline.ts";
import { sharesOf } from "./shares.ts";
import { measurement, median, timeInTurn, type Work } from "./timing.ts";

Deno.test("median() finds the middle value in any order; measurement() gives the rate per second", () => {
  const values = [30, 1, 200, 4, 5];
  assert.equal(median(values), 5);
  assert.deepEqual(values, [30, 1, 200, 4, 5]);
  assert.equal(median([10, 2, 3, 100]), 6.5);
  assert.equal(median([7]), 7);
  assert.throws(() => median([]), RangeError);
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
  const measured = await timeInTurn([work("a"), work("b")], 3);
  assert.deepEqual(measured.map(({ name }) => name), ["a", "b"]);
  assert.equal(order.join(""), "aabb" + "ababab");
  for (const [, [warmUp, first, ...timed]] of counts) {
    assert.deepEqual([warmUp, first], [1, 1]);
    assert.equal(new Set(timed).size, 1);
  }
});

testOnCpu(
  "sharesOf() counts the bytes and products of each op, and bounds each call by the slower",
  async (device) => {
    const [a, b, x] = [[2, 300], [300, 5], [7]].map((shape) => zeros(shape));
    const stepOf = () => {
      let recorded: RecordedStep<void> | undefined;
      return () =>
        (recorded ??= record(() => {
          for (let i = 0; i < 3; i++) matmul(a, b);
          square(slice(x, 0, 1, 2));
        })).run();
    };
    const bounds = { bytesPerSecond: 4e3, multiplyAddsPerSecond: 6e3 };
    const shares = await sharesOf(device, stepOf(), 1, bounds);
    const of = (name: string) => {
      const { calls, bytes, multiplyAdds, boundMs } = shares.find((share) => share.name === name)!;
      return [calls, bytes, multiplyAdds, Math.round(boundMs)];
    };
    const elements = 2 * 300 + 300 * 5 + 2 * 5, products = 2 * 300 * 5;
    assert.ok(elements / 1e3 > products / 6e3);
    assert.deepEqual(of("matmul"), [3, 12 * elements, 3 * products, 3 * elements]);
    assert.deepEqual(of("square"), [1, 4 * (2 + 2), 0, 4]);
    assert.match(tableOf(shares), /^ +op .* of bound\n/);
    const fast = await sharesOf(device, stepOf(), 1, { ...bounds, bytesPerSecond: Infinity });
    assert.equal(Math.round(fast.find(({ name }) => name === "matmul")!.boundMs), 3 * products / 6);
  },
);

testNeeding(
  { read: true, run: true },
  "bench refuses wrong flags in one line, and --help lists them",
  async () => {
    const bench = fileURLToPath(import.meta.resolve("./bench.ts"));
    const run = async (args: string) => {
      const command = ["run", "--allow-read", bench, ...args.split(" ")];
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args: command }).output();
      return { code, output: new TextDecoder().decode(code === 0 ? stdout : stderr) };
    };
    const known = "--json, --device, --threads, --ops, --networks, --shares, --roofline, --precision";
    const refused = {
      "--fast": `Unknown option '--fast' (known: ${known})\n`,
      "--device gpu": "Cannot use --device gpu (expected auto or webgpu or cpu)\n",
      "--device": `Option '--device <value>' argument missing (known: ${known})\n`,
    };
    for (const [args, output] of Object.entries(refused)) {
      assert.deepEqual(await run(args), { code: 1, output });
    }
    const { output } = await run("--help");
    assert.match(output, /^ {2}--device VALUE +auto, webgpu or cpu \(default: auto\)$/m);
    assert.doesNotMatch(output, /undefined/, "every flag has a meaning");
  },
);
