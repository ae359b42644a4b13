import assert from "node:assert/strict";
import { defineOp, tensor } from "../../../kernels/mod.ts";
import { registry } from "../../../kernels/op.ts";
import { assertClose, testOnDevices } from "../../testing.ts";

/** 10 high + low, with attributes that are given in any order. */
function twoDigits() {
  registry.delete("twoDigitsForTest");
  const op = defineOp({
    name: "twoDigitsForTest",
    signature: "x[n] -> y[n]",
    attributes: { high: "u32", low: "f32" },
    wgsl: "fn kernel(i: u32) { y[i] = x[i] + 10.0 * f32(dims.high) + dims.low; }",
    reference({ x, y }, { high, low }) {
      for (let i = 0; i < y.length; i++) y[i] = x[i] + 10 * high + low;
    },
    samples: [],
  });
  registry.delete("twoDigitsForTest");
  return op;
}

testOnDevices("an op takes attributes in any order", async () => {
  const op = twoDigits();
  const x = tensor([100]);
  assertClose(await op(x, { high: 2, low: 3 }).read(), [123], 0);
  assertClose(await op(x, { low: 3, high: 2 }).read(), [123], 0);
  assertClose(await op(x, { low: 2, high: 3 }).read(), [132], 0);
});

testOnDevices("an op whose derive() gives dims in another order computes the same", async () => {
  registry.delete("derivedForTest");
  const op = defineOp({
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
  registry.delete("derivedForTest");
  for (const swap of [0, 1]) assertClose(await op(tensor([100]), { swap }).read(), [112], 0);
});

testOnDevices("an op names attributes that are missing, unknown or not of their type", () => {
  const op = twoDigits() as (x: unknown, attributes?: unknown) => unknown;
  const x = tensor([1]);
  const refused = (attributes: unknown, why: string) =>
    assert.throws(() => op(x, attributes), {
      name: "TypeError",
      message: `Cannot run twoDigitsForTest: ${why} (expected attributes: high: u32, low: f32)`,
    });
  refused(undefined, "missing attributes high, low");
  refused({ high: 1 }, "missing attribute low");
  refused({ high: 1, low: 2, lo: 3 }, "unknown attribute lo");
  refused({ high: -1, low: 2 }, "attribute high is -1");
  refused({ high: 1.5, low: 2 }, "attribute high is 1.5");
  refused({ high: 1, low: 2, toString: 3 }, "unknown attribute toString");
  refused({ high: 1, low: "2" }, "attribute low is 2");
});
