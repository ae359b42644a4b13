import { loadData } from "../../../experiments/training/prepare_training.ts";
import { checkPictures } from "../../../experiments/training/training_data.ts";
import { trainingConfig } from "../../../experiments/cli/training_config.ts";
import assert from "node:assert/strict";
import { testInFolder } from "../../folder.ts";
import { spotsOf, writeFiles } from "../data/tiny_png.ts";

testInFolder("loadData() shows progress if it takes long", async (folder) => {
  await writeFiles(folder, spotsOf(["a", "b"], 20));
  const shown = async (msPerLook: number) => {
    let written = "", ms = 0;
    const terminal = {
      isTerminal: true,
      columns: () => 200,
      write: (text: string) => void (written += text),
    };
    await loadData({ data: folder }, terminal, () => ms += msPerLook);
    return written;
  };
  assert.equal(await shown(1), "");
  const written = await shown(1000);
  assert.match(written, /reading images in .* 16\/40.*40\/40/s);
  assert.ok(written.endsWith("\r\x1b[K"), "the line is removed");
});

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
