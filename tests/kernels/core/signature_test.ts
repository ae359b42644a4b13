/** Signatures: what the type checker refuses, and what `defineOp()` refuses in one line. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { defineOp } from "../../../kernels/mod.ts";
import { withFolder } from "../../folder.ts";
import { testNeeding } from "../../permissions.ts";

/** Declares an op whose signature the type checker does not know. */
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

Deno.test("defineOp() refuses malformed signatures in one line", () => {
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
  "a malformed signature is an error of the type checker",
  async () => {
    const root = fileURLToPath(new URL("../../..", import.meta.url));
    /** Malformed by the grammar alone; the rest is for `defineOp()`. */
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
