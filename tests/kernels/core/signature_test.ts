import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { defineOp, tensor } from "../../../kernels/mod.ts";
import { withFolder } from "../../folder.ts";
import { testNeeding } from "../../permissions.ts";
import { registry } from "../../../kernels/op.ts";
import { assertClose, testOnDevices } from "../../testing.ts";

/** Malformed signatures, refused by the type checker and by `defineOp()`. */

/** Declares an op with a signature unknown to the type checker. */
function declare(signature: string, more: { attributes?: Record<string, "u32"> } = {}): void {
  defineOp({ name: "made up", signature, wgsl: "", reference() {}, samples: [], ...more });
}

const refused: Readonly<Record<string, string>> = {
  "x[S...] > y[S...]": 'has 0 arrows " -> " between inputs and outputs (expected one such as a[M, K], ',
  "x[n] -> y[n] -> z[n]": 'has 2 arrows " -> "',
  "x[n], b(n) -> y[n]": 'has "b(n)" (expected a buffer such as a[M, K], x[S...] or index:u32[n])',
  "x[n],b[n] -> y[n]": 'has "x[n],b[n]"',
  "x:f16[n] -> y[n]": 'has "x:f16[n]"',
  "x[S..] -> y[n]": 'has an axis "S.." of x (expected a name, a length, or S... for any axes)',
  "x[n,] -> y[n]": 'has an axis "" of x',
  "x[2n] -> y[n]": 'has an axis "2n" of x',
  "x[S..., T...] -> y[n]": "has several axes of any number in x[S..., T...] (expected one at most)",
  "x[n] -> ": "has no output",
  "x[n], x[m] -> y[n]": "has two buffers x on one side (expected a name for each)",
  "x[n] -> y[m]": "does not say how long m of y is (expected an axis of an input, an attribute, or derive)",
  "x[S] -> y[S...]": "does not say how long S... of y is",
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

testNeeding(
  { read: true, write: true, run: true },
  "a malformed signature is a type error",
  async () => {
    const root = fileURLToPath(new URL("../../..", import.meta.url));
    /** Signatures malformed by grammar; only `defineOp()` detects the others. */
    const malformed = Object.keys(refused).slice(0, 8).concat("x[n] -> ");
    const good = ["x[S...], index:u32[1] -> y[S...], z[N, 2]", " -> y[n]", "x[] -> x[]"];
    const lines = [...malformed, ...good].map((signature, i) =>
      `defineOp({ name: "${i}", signature: "${signature}", wgsl: "", reference() {}, samples: [] });`
    );
    await withFolder(async (folder) => {
      const program = join(folder, "signatures.ts");
      const imported = `import { defineOp } from ${JSON.stringify(join(root, "kernels/mod.ts"))};\n`;
      await Deno.writeTextFile(program, imported + lines.join("\n"));
      const args = ["check", "--config", join(root, "deno.json"), "--lock", join(root, "tests/deno.lock")];
      const { stderr } = await new Deno.Command(Deno.execPath(), {
        args: [...args, program],
        env: { NO_COLOR: "1" },
      }).output();
      const errors = new TextDecoder().decode(stderr).split("\n").filter((line) => /^TS\d+/.test(line));
      assert.deepEqual(
        errors.map((line) =>
          /: Type '"(.*?)"' is not assignable to type '"Malformed signature: /.exec(line)?.[1]
        ),
        malformed,
      );
    });
  },
);

/** 10 high + low, to test the order of attributes. */
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

testOnDevices("an op accepts attributes in any order", async () => {
  const op = twoDigits();
  const x = tensor([100]);
  assertClose(await op(x, { high: 2, low: 3 }).read(), [123], 0);
  assertClose(await op(x, { low: 3, high: 2 }).read(), [123], 0);
  assertClose(await op(x, { low: 2, high: 3 }).read(), [132], 0);
});

testOnDevices("an op whose derive() returns dims in another order computes the same", async () => {
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

testOnDevices("an op names attributes that are missing, unknown or of the wrong type", () => {
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
