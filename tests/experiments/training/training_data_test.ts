import { checkPictures, loadData } from "../../../experiments/training/training_data.ts";
import { trainingConfig } from "../../../experiments/settings/training_config.ts";
import assert from "node:assert/strict";
import { testInFolder } from "../../folder.ts";
import { spotsOf, writeFiles } from "../data/tiny_png.ts";

/** Messages and progress while a folder is loaded. */
async function shown(folder: string, patienceMs: number) {
  const said: string[] = [];
  let written = "";
  const terminal = { isTerminal: true, columns: () => 80, write: (text: string) => void (written += text) };
  await loadData(folder, { say: (line) => said.push(line), terminal, patienceMs });
  return { said, written };
}

testInFolder(
  "loadData() shows progress if it takes long",
  async (folder) => {
    await writeFiles(folder, spotsOf(["a", "b"], 20));
    assert.deepEqual(await shown(folder, Infinity), { said: [], written: "" });
    const { said, written } = await shown(folder, 0);
    assert.deepEqual(said, [`Reading images in ${folder}`]);
    assert.match(written, /16\/40 .*40\/40 .*\n$/s);
  },
);

Deno.test("checkPictures() refuses pictures that are too large to draw", () => {
  const size = [1, 28, 28] as const;
  const values = { model: "base", filters: [4, 8], flowSteps: 100 } as const;
  const check = (pictures: object) => () => checkPictures(trainingConfig({ ...values, ...pictures }), size);
  check({ samples: 1000, flowSamples: 50, pathSamples: 5000 })();
  assert.throws(check({ samples: 1_000_000 }), { name: "RunError", message: /^Cannot draw 1000000 images / });
  assert.throws(check({ flowSamples: 100_000 }), {
    name: "ConfigError",
    message:
      "Cannot use --flow-samples 100000 here: there would be too much to draw at the end (expected at most 1695)",
  });
  assert.throws(check({ pathSamples: 3_000_000 }), { name: "ConfigError" });
});
