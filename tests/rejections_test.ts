/** Promises in tests: one that rejects before anyone listens ends the whole program, on a slow machine. */

import assert from "node:assert/strict";
import { filesBelow, textOf } from "./module_graph.ts";
import { testNeeding } from "./permissions.ts";

/** From each occurrence of some words to the parenthesis that closes what they open. */
function callsOf(words: string, text: string): string[] {
  return text.split(words).slice(1).map((rest) => {
    let depth = 1;
    const end = [...rest].findIndex((letter) => (depth += { "(": 1, ")": -1 }[letter] ?? 0) === 0);
    return rest.slice(0, end);
  });
}

/** Promises of a test that stay without a listener while it waits for another. */
function unheard(text: string): string[] {
  const rejects = "assert." + "rejects(";
  const late = callsOf(rejects, text).filter((call) =>
    /\bawait\b/.test(call) && !/^\s*(async )?\(/.test(call)
  );
  const kept = text.match(/const \w+ = place\.(succeed|run)\(.*/g) ?? [];
  return [...late, ...kept];
}

testNeeding(
  { read: true },
  "no test makes a promise that may reject while it waits for another",
  async () => {
    const made = "assert." + "rejects(check(a), { message: `${await sha256(b)}` });";
    assert.equal(unheard(made).length, 1);
    assert.equal(unheard(made.replace("check(a)", "() => check(a)")).length, 0);
    assert.equal(unheard("const whole = place." + "succeed(task);").length, 1);
    for (const path of await filesBelow("tests/")) {
      if (path.endsWith(".ts")) assert.deepEqual(unheard(await textOf(path)), [], path);
    }
  },
);
