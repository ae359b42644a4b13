import assert from "node:assert/strict";
import { shownLines, totalsIn } from "./test_output.ts";

async function* inPieces(text: string): AsyncGenerator<string> {
  for (let at = 0; at < text.length; at += 7) yield await Promise.resolve(text.slice(at, at + 7));
}

const shown = (text: string) => Array.fromAsync(shownLines(inPieces(text)));

Deno.test("shownLines() names the file of each test, also of one that takes long", async () => {
  const printed = `running 3 tests from ./tests/a_test.ts
x() holds ... ok (12ms)
y() holds ...'y() holds' has been running for over (1m0s)
 ok (1m7s)
z() holds ... ignored (0ms)

running 1 test from ./tests/b_test.ts
\x1b[32mw() holds ... FAILED\x1b[0m (1s)
`;
  assert.deepEqual(await shown(printed), [
    "./tests/a_test.ts => x() holds ... ok (12ms)",
    "./tests/a_test.ts => y() holds ...'y() holds' has been running for over (1m0s)",
    "./tests/a_test.ts => y() holds ... ok (1m7s)",
    "./tests/a_test.ts => z() holds ... ignored (0ms)",
    "./tests/b_test.ts => \x1b[32mw() holds ... FAILED\x1b[0m (1s)",
  ]);
});

Deno.test("shownLines() keeps together what a test prints, and all errors with their summary", async () => {
  const output = `------- output -------
one ... two

 ok (not a result)
----- output end -----`;
  const errors = ` ERRORS 

x() holds => ./tests/a_test.ts:1:6
error: Error: no

FAILED | 1 passed | 1 failed (3s)
`;
  const lines = await shown(
    `running 2 tests from ./a_test.ts\nx() holds ...\n${output}\nx() holds ... FAILED (1s)\n${errors}`,
  );
  assert.deepEqual(lines, [
    "./a_test.ts => x() holds ...",
    output,
    "./a_test.ts => x() holds ... FAILED (1s)",
    errors.trimEnd(),
  ]);
  assert.deepEqual(totalsIn(lines.at(-1)!), { passed: 1, failed: 1, ignored: 0 });
});

Deno.test("totalsIn() reads a summary, and nothing from other lines", () => {
  const summary = "ok | 12 passed (3 steps) | 0 failed | 2 ignored (1m2s)";
  const totals = { passed: 12, failed: 0, ignored: 2 };
  assert.deepEqual(totalsIn(summary), totals);
  assert.deepEqual(totalsIn(`\x1b[0m\x1b[32m${summary.replace("ok", "ok\x1b[0m")}`), totals);
  assert.deepEqual(totalsIn("x() holds ... ok (12ms)"), { passed: 0, failed: 0, ignored: 0 });
});
