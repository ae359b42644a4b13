import assert from "node:assert/strict";
import { defineOp, tensor } from "../../../kernels/mod.ts";
import { hiddenOp } from "../oracle.ts";
import { assertClose, testOnCpu, testOnDevices } from "../../testing.ts";

function declare(signature: string, more: { attributes?: Record<string, "u32"> } = {}): void {
  defineOp({ name: "made up", signature, wgsl: "", reference() {}, samples: [], ...more });
}

const refused: Readonly<Record<string, string>> = {
  "x[S...] > y[S...]":
    'has 0 arrows " -> " between inputs and outputs (expected a signature such as a[M, K], ',
  "x[n] -> y[n] -> z[n]": 'has 2 arrows " -> "',
  "x[n], b(n) -> y[n]": 'contains "b(n)" (expected a buffer such as a[M, K], x[S...] or index:u32[n])',
  "x[n],b[n] -> y[n]": 'contains "x[n],b[n]"',
  "x:f16[n] -> y[n]": 'contains "x:f16[n]"',
  "x[S..] -> y[n]": 'has an axis "S.." of x (expected a name, a length, or S... for any axes)',
  "x[n,] -> y[n]": 'has an axis "" of x',
  "x[2n] -> y[n]": 'has an axis "2n" of x',
  "x[S..., T...] -> y[n]": "has several variadic axes in x[S..., T...] (expected at most one)",
  "x[n] -> ": "has no output",
  "x[n], x[m] -> y[n]": "has two buffers x on one side (expected a different name for each)",
  "x[n] -> y[m]":
    "does not give the length of m in y (expected an axis of an input, an attribute, or derive)",
  "x[S] -> y[S...]": "does not give the length of S... in y",
  "x[n, m] -> x[n]": "changes the axes or type of x, which it updates in place",
};

Deno.test("defineOp() refuses malformed signatures with a one-line message", () => {
  for (const [signature, why] of Object.entries(refused)) {
    assert.throws(() => declare(signature), (error: Error) => {
      assert.equal(error.name, "TypeError");
      assert.ok(
        error.message.startsWith(`Cannot declare op made up: its signature "${signature}" ${why}`),
        error.message,
      );
      return !error.message.includes("\n");
    });
  }
  // An attribute may give the length of an axis.
  declare("x[n] -> y[m, 2, S]", { attributes: { m: "u32", S: "u32" } });
});

/** x + 10 high + low. */
const twoDigits = hiddenOp({
  name: "twoDigitsForTest",
  signature: "x[n] -> y[n]",
  attributes: { high: "u32", low: "f32" },
  wgsl: "fn kernel(i: u32) { y[i] = x[i] + 10.0 * f32(dims.high) + dims.low; }",
  reference({ x, y }, { high, low }) {
    for (let i = 0; i < y.length; i++) y[i] = x[i] + 10 * high + low;
  },
  samples: [],
});

/** x + 12, with dims derived in either order. */
const derived = hiddenOp({
  name: "derivedForTest",
  signature: "x[n] -> y[n]",
  attributes: { swap: "u32" },
  derive: ({ swap }): Record<string, number> => swap === 1 ? { b: 2, a: 1 } : { a: 1, b: 2 },
  wgsl: "fn kernel(i: u32) { y[i] = x[i] + f32(10u * dims.a + dims.b); }",
  reference({ x, y }, { a, b }) {
    for (let i = 0; i < y.length; i++) y[i] = x[i] + 10 * a + b;
  },
  samples: [],
});

testOnDevices("an op accepts attributes, and derived dims, in any order", async () => {
  const x = tensor([100]);
  assertClose(await twoDigits(x, { high: 2, low: 3 }).read(), [123], 0);
  assertClose(await twoDigits(x, { low: 3, high: 2 }).read(), [123], 0);
  assertClose(await twoDigits(x, { low: 2, high: 3 }).read(), [132], 0);
  for (const swap of [0, 1]) assertClose(await derived(x, { swap }).read(), [112], 0);
});

testOnCpu("an op names an attribute that is missing, unknown or of the wrong type", () => {
  const refused: [attributes: unknown, why: string][] = [
    [undefined, "attribute high is undefined"],
    [{ high: 1 }, "attribute low is undefined"],
    [{ high: 1, low: 2, lo: 3 }, "unknown attribute lo"],
    [{ high: 1, low: 2, toString: 3 }, "unknown attribute toString"],
    [{ high: -1, low: 2 }, "attribute high is -1"],
    [{ high: 1.5, low: 2 }, "attribute high is 1.5"],
    [{ high: 1, low: "2" }, 'attribute low is "2"'],
  ];
  for (const [attributes, why] of refused) {
    assert.throws(() => (twoDigits as (...given: unknown[]) => unknown)(tensor([1]), attributes), {
      name: "TypeError",
      message: `Cannot run twoDigitsForTest: ${why} (expected attributes: high: u32, low: f32)`,
    });
  }
});
