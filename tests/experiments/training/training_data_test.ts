import assert from "node:assert/strict";
import { loadData } from "../../../experiments/training/training_data.ts";
import { testInFolder } from "../../folder.ts";
import { spotsOf, writeFiles } from "../data/tiny_png.ts";

/** What is said and shown while a folder is loaded. */
async function shown(folder: string, patienceMs: number) {
  const said: string[] = [];
  let written = "";
  const terminal = { isTerminal: true, columns: () => 80, write: (text: string) => void (written += text) };
  await loadData(folder, { say: (line) => said.push(line), terminal, patienceMs });
  return { said, written };
}

testInFolder(
  "loadData() shows how far it is where it takes long",
  async (folder) => {
    await writeFiles(folder, spotsOf(["a", "b"], 20));
    assert.deepEqual(await shown(folder, Infinity), { said: [], written: "" });
    const { said, written } = await shown(folder, 0);
    assert.deepEqual(said, [`Reading images in ${folder}`]);
    assert.match(written, /16\/40 .*40\/40 .*\n$/s);
  },
);
