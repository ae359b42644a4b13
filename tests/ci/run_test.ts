/** `.ci/run` beside a stand-in for denow that prints what Deno prints. */

import assert from "node:assert/strict";
import { testNeeding, testUnless } from "../permissions.ts";

const script = new URL("../../.ci/run", import.meta.url);

/** The lines that .ci/run adds, and its exit status, if the test command prints `output` and exits with `status`. */
function ci(output: string, status: number): [string, number] {
  const folder = Deno.makeTempDirSync({ prefix: "ci test " });
  try {
    Deno.mkdirSync(`${folder}/.ci`);
    Deno.copyFileSync(script, `${folder}/.ci/run`);
    Deno.writeTextFileSync(`${folder}/output`, `${output}\n`);
    const denow = `#!/bin/sh\n[ "$*" = "task test --all" ] || exit 99\ncat output >&2\nexit ${status}\n`;
    Deno.writeTextFileSync(`${folder}/denow`, denow, { mode: 0o755 });
    const { code, stdout } = new Deno.Command("bash", { args: [`${folder}/.ci/run`] }).outputSync();
    const lines = new TextDecoder().decode(stdout).trimEnd().split("\n");
    const printed = output.split("\n");
    assert.deepEqual(lines.slice(0, printed.length), printed, "the output is passed on");
    return [lines.slice(printed.length).join("\n"), code];
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

const parallel = "./a_test.ts => a ...----- post-test output end -----";
const slow = [
  "a ... ok (12ms)",
  "./b_test.ts => b is slow ... ok (3s)",
  "c ...'c' has been running for over (1m0s)",
  " ok (1m7s)",
  "d ... FAILED (40s)",
  ...Array.from({ length: 9 }, (_, i) => `e${i} ... ok (1s)`),
  "FAILED | 12 passed | 1 failed (2m)",
];
const slowest = [
  "Slowest tests:",
  ...["  67 s  c", "  40 s  d", "   3 s  ./b_test.ts => b is slow"],
  ...Array.from({ length: 7 }, (_, i) => `   1 s  e${i}`),
  "12 passed, 1 failed",
];
const printed = "------- output -------\nok | 9 passed | 9 failed (1s)\n----- output end -----";
const one = "ok | 1 passed | 0 failed (1s)";
const cases: [what: string, output: string, status: number, adds: string, code?: number][] = [
  ["a pass", "ok | 12 passed (3 steps) | 0 failed (2s)", 0, "12 passed, 0 failed"],
  ["ignored tests", "ok | 12 passed | 0 failed | 2 ignored (2s)", 0, "12 passed, 0 failed, 2 skipped"],
  [
    "failures",
    "FAILED | 11 passed (1 step) | 1 failed (2 steps) | 3 filtered out (1m2s)\n\nerror: Test failed",
    1,
    "11 passed, 1 failed",
  ],
  ["slow tests", slow.join("\n"), 1, slowest.join("\n")],
  ["two runs", `${one}\nok | 3 passed | 0 failed (1s)`, 0, "4 passed, 0 failed"],
  ["a crash", "Segmentation fault", 139, "0 passed, 1 failed"],
  ["no tests at all", "nothing to do", 0, "0 passed, 1 failed", 1],
  ["a failure outside the tests", "ok | 2 passed | 0 failed (1s)", 3, "2 passed, 1 failed"],
  ["a summary that a test prints", `${printed}\n${one}`, 0, "1 passed, 0 failed"],
  [
    "an output that ends after the name of a test that runs in parallel",
    `------- post-test output -------\n2\n${parallel}\n${one}`,
    0,
    "1 passed, 0 failed",
  ],
];

const run = () => {
  for (const [what, output, status, adds, code = status] of cases) {
    assert.deepEqual(ci(output, status), [adds, code], what);
  }
};
const name = ".ci/run counts tests, and lists the slowest";
if (Deno.build.os === "windows") testUnless("needs bash", name, run);
else testNeeding({ read: true, write: true, run: true }, name, run);
