import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { textTable } from "../../../experiments/cli/output.ts";
import { testTask } from "../cli.ts";

const lines = (rows: readonly (readonly string[])[], width: number) =>
  textTable(rows, (column) => column > 0 && column < 4, width).split("\n");

Deno.test("textTable() aligns columns, and repeats the first one in parts that fit the width", () => {
  const rows = [["figure", "value", "real", "seconds"], ["Fréchet distance", "6.2", "4.5", "12"]];
  assert.deepEqual(lines(rows, 42), [
    "  figure            value  real  seconds",
    "  Fréchet distance    6.2   4.5       12",
  ]);
  assert.deepEqual(lines(rows, 39), [
    "  figure            value  real",
    "  Fréchet distance    6.2   4.5",
    "",
    "  figure            seconds",
    "  Fréchet distance       12",
  ]);
});

Deno.test("textTable() wraps long text at words, and cuts long words", () => {
  const row = ["a", "1", "2", "3", "heun 0.123, dopri5 0.25, " + "x".repeat(20)];
  assert.deepEqual(lines([row], 34), [
    "  a  1  2  3  heun 0.123, dopri5",
    "              0.25,",
    "              xxxxxxxxxxxxxxxxxxxx",
  ]);
  assert.deepEqual(lines([["runs/" + "y".repeat(40), "z".repeat(50)]], 60), [
    `  runs/${"y".repeat(23)}  ${"z".repeat(28)}`,
    `  ${"y".repeat(17)}${" ".repeat(11 + 2 + 6)}${"z".repeat(22)}`,
  ]);
  assert.deepEqual(
    lines([["y".repeat(40), "1"]], 60),
    [`  ${"y".repeat(40)}  1`],
    "no wrap where there is room",
  );
  assert.deepEqual(textTable([]), "");
});

testTask("runs into a full disk ends with one line and exit code 1", async ({ path }) => {
  const script = fileURLToPath(new URL("../../../experiments/runs.ts", import.meta.url));
  const { code, stderr } = await new Deno.Command("sh", {
    args: ["-c", '"$0" run -q --allow-read "$1" > /dev/full', Deno.execPath(), script],
    cwd: path,
    stderr: "piped",
  }).output();
  const says = "RunError: Cannot print the result: no space is left on the disk\n";
  assert.deepEqual([code, new TextDecoder().decode(stderr)], [1, says]);
}, Deno.build.os === "linux" ? undefined : "needs /dev/full");
