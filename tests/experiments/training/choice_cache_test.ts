import assert from "node:assert/strict";
import { join } from "node:path";
import { ChoiceCache } from "../../../experiments/training/tune_kernels.ts";
import { testInFolder } from "../../folder.ts";
import { mutateText, randomOf } from "../mutations.ts";

const key = { adapter: "GPU of A", call: "matmul A=1 M=2", candidates: "12ab" };
const silent = (line: string) => assert.fail(line);

testInFolder("ChoiceCache keeps choices for the same adapter, call and candidates only", async (folder) => {
  const path = join(folder, "runs", "choices.json");
  const [first, other] = [await ChoiceCache.open(path, silent), await ChoiceCache.open(path, silent)];
  assert.equal(first.get(key), undefined);
  first.set(key, "registers");
  other.set({ ...key, call: "other" }, "b");
  await first.save(silent);
  await other.save(silent); // keeps what another program added meanwhile
  const both = await ChoiceCache.open(path, silent);
  assert.deepEqual([both.get(key), both.get({ ...key, call: "other" })], ["registers", "b"]);
  for (const other of [{ adapter: "GPU of B" }, { call: "matmul A=1 M=3" }, { candidates: "12ac" }]) {
    assert.equal(both.get({ ...key, ...other }), undefined, Object.keys(other).join());
  }
});

testInFolder("ChoiceCache ignores a damaged or foreign file, and replaces it", async (folder) => {
  const path = join(folder, "choices.json");
  const entry = { ...key, chosen: "a" };
  for (
    const [text, problem] of [
      ["", "is not a JSON object"],
      ["[]", "is not a JSON object"],
      ["{}", "choices is missing"],
      [JSON.stringify({ choices: [entry, { ...entry, chosen: 3 }] }), "choices is"],
      [JSON.stringify({ choices: { ...entry } }), "choices is"],
    ]
  ) {
    await Deno.writeTextFile(path, text);
    const said: string[] = [];
    const cache = await ChoiceCache.open(path, (line) => void said.push(line));
    assert.equal(said.length, 1);
    assert.ok(said[0].startsWith(`Choosing kernels again: Cannot read ${path}: `), said[0]);
    assert.ok(said[0].includes(problem), said[0]);
    assert.equal(cache.get(key), undefined);
    cache.set(key, "b");
    await cache.save(silent);
    assert.equal((await ChoiceCache.open(path, silent)).get(key), "b");
  }
});

testInFolder(
  "ChoiceCache opens any damaged file without an error, and returns only strings",
  async (folder) => {
    const path = join(folder, "choices.json");
    const cache = await ChoiceCache.open(path, silent);
    for (const call of ["a", "b", "c"]) cache.set({ ...key, call }, "registers");
    await cache.save(silent);
    const whole = await Deno.readTextFile(path);
    const random = randomOf(1);
    for (let i = 0; i < 300; i++) {
      await Deno.writeFile(path, mutateText(whole, random));
      const found = (await ChoiceCache.open(path, () => {})).get(key);
      assert.ok(found === undefined || typeof found === "string");
    }
  },
);

testInFolder("ChoiceCache.save() reports why choices cannot be saved", async (folder) => {
  await Deno.writeTextFile(join(folder, "runs"), "a file in the folder's place");
  const blocked = await ChoiceCache.open(join(folder, "runs", "choices.json"), () => {});
  blocked.set(key, "a");
  const said: string[] = [];
  await blocked.save((line) => void said.push(line));
  assert.match(said.join(), /^Cannot save the kernel choices for the next start: .*runs/);
});
