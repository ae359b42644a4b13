import assert from "node:assert/strict";
import { join } from "node:path";
import { removeLeftovers } from "../../../experiments/run/run_folder.ts";
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

testInFolder("removeLeftovers() looks into the run's own folders, and through no link", async (folder) => {
  const [run, elsewhere] = [join(folder, "run"), join(folder, "elsewhere")];
  const leftover = `.step_000500.safetensors.${"0f".repeat(16)}.tmp`;
  for (const place of [join(run, "weights"), elsewhere]) {
    await Deno.mkdir(place, { recursive: true });
    for (const name of [leftover, "step_000250.safetensors"]) await Deno.writeTextFile(join(place, name), "");
  }
  await Deno.symlink(elsewhere, join(run, "flow"));
  using lock = await lockRun(run);
  await removeLeftovers(lock);
  const namesIn = async (place: string) =>
    (await Array.fromAsync(Deno.readDir(place), ({ name }) => name)).sort();
  assert.deepEqual(await namesIn(join(run, "weights")), ["step_000250.safetensors"]);
  assert.deepEqual(await namesIn(elsewhere), [leftover, "step_000250.safetensors"]);
});
