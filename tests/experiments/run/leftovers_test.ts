import assert from "node:assert/strict";
import { join } from "node:path";
import { removeLeftovers } from "../../../experiments/run/leftovers.ts";
import { lockRun } from "../../../experiments/run/run_lock.ts";
import { testInFolder } from "../../folder.ts";

testInFolder("removeLeftovers() removes what was killed half-written, and nothing else", async (folder) => {
  using lock = await lockRun(folder);
  const end = `${"0f".repeat(16)}.tmp`;
  const kept = [`.report.html.${end}`, "a.tmp", ".last.safetensors.0.tmp", "last.safetensors"];
  for (const name of [...kept, `.last.safetensors.${end}`, `.run.json.${end}`]) {
    await Deno.writeTextFile(join(folder, name), "");
  }
  await removeLeftovers(lock);
  const names = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
  assert.deepEqual(names.sort(), [".lock", ...kept].sort());
});
