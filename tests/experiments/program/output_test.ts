import assert from "node:assert/strict";
import { printable } from "../../../experiments/program/output.ts";
import { filesBelow, textOf } from "../../module_graph.ts";
import { testNeeding } from "../../permissions.ts";

Deno.test("printable() escapes control characters, and keeps other text", () => {
  const cases = {
    "\x1b[2J": "\\u001b[2J",
    "\x9b31m\x07\r\n\x7f": "\\u009b31m\\u0007\\u000d\\u000a\\u007f",
    "a\u202eb\u2066": "a\\u202eb\\u2066",
    "ümläut 数 👩‍🔬": "ümläut 数 👩‍🔬",
  };
  for (const [text, shown] of Object.entries(cases)) assert.equal(printable(text), shown);
  // Escapes are valid in JSON, so JSON keeps its meaning.
  assert.equal(JSON.parse(printable(JSON.stringify("\x1b\x9b\u202e"))), "\x1b\x9b\u202e");
});

testNeeding(
  { read: true },
  "nothing in experiments/ but print() and say() writes to the console",
  async () => {
    for (const path of await filesBelow("experiments/")) {
      if (!path.endsWith(".ts") || path === "experiments/program/output.ts") continue;
      const code = (await textOf(path)).replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
      assert.doesNotMatch(code, /\bconsole\./, path);
    }
  },
);
