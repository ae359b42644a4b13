import assert from "node:assert/strict";
import { loadData } from "../../../experiments/training/load_data.ts";
import { testInFolder } from "../../folder.ts";
import { spotsOf, writeFiles } from "../data/tiny_png.ts";

/** What is said and shown while a folder is loaded. */
async function shown(folder: string, patienceMs?: number) {
  const said: string[] = [];
  let written = "";
  const terminal = { isTerminal: true, columns: () => 80, write: (text: string) => void (written += text) };
  await loadData(folder, {
    say: (line) => said.push(line),
    terminal,
    ...patienceMs !== undefined && { patienceMs },
  });
  return { said, written };
}

testInFolder(
  "loadData() says what the data is, and shows how far it is where it takes long",
  async (folder) => {
    await writeFiles(folder, spotsOf(["a", "b"], 20));
    const name = folder.split("/").at(-1);
    const facts = `${name}: 36 images of 12 x 12 to train and 4 to test, 2 classes: a, b`;
    assert.deepEqual(await shown(folder), { said: [facts], written: "" });
    const { said, written } = await shown(folder, 0);
    assert.deepEqual(said, [`Reading images in ${folder}`, facts]);
    assert.match(written, /16\/40 .*40\/40 .*\n$/s);
  },
);
