import assert from "node:assert/strict";
import type { TrainingConfig } from "../../../experiments/cli/training.ts";
import { loadData } from "../../../experiments/training/prepare_training.ts";
import {
  checkCoupling,
  checkPictures,
  checkValidation,
  decideConditional,
} from "../../../experiments/training/training_data.ts";
import { trainingConfig } from "../../../experiments/cli/training_config.ts";
import { testInFolder } from "../../folder.ts";
import { spotsOf, writeFiles } from "../data/tiny_png.ts";

testInFolder("loadData() shows progress if it takes long", async (folder) => {
  await writeFiles(folder, spotsOf(["a", "b"], 20));
  const shown = async (msPerLook: number) => {
    let written = "", ms = 0;
    const write = (text: string) => void (written += text);
    await loadData({ data: folder }, { isTerminal: true, columns: () => 200, write }, () => ms += msPerLook);
    return written;
  };
  assert.equal(await shown(1), "");
  const written = await shown(1000);
  assert.match(written, /reading images in .* 16\/40.*40\/40/s);
  assert.ok(written.endsWith("\r\x1b[K"), "the line is removed");
});

const size = { channels: 1, height: 28, width: 28 };
const config = (values: Partial<TrainingConfig> = {}) =>
  trainingConfig({ model: "base", filters: [4, 8], flowSteps: 100, ...values });

Deno.test("decideConditional() takes labels if the data has them, and says so if not", () => {
  const decide = (values: Partial<TrainingConfig>, classes: number) => {
    const said: string[] = [];
    const data = { name: "data", classes, ...size, digest: "", source: "" };
    const { conditional, guidance } = decideConditional(config(values), data, (line) => said.push(line));
    return [conditional, guidance, ...said];
  };
  assert.deepEqual(decide({}, 10), [true, 1.3]);
  assert.deepEqual(decide({}, 0), [false, 2, "Training without labels: the data set data has none"]);
  assert.deepEqual(decide({ conditional: false }, 10), [false, 2]);
  for (const values of [{ conditional: true }, { guidance: 2 }, { labelDropout: 0.2 }] as const) {
    const message = /^Cannot use --conditional: the data set data has no labels /;
    assert.throws(() => decide(values, 0), { name: "ConfigError", message });
  }
});

Deno.test("a run is refused whose pictures, pairs or schedule its data does not allow", () => {
  const pictures = (values: object) => () => checkPictures(config(values), [1, 28, 28]);
  const images = { train: new Uint32Array(96), validation: new Uint32Array(0) };
  const plateau = { schedule: "plateau", valFraction: 0.004 } as const;
  pictures({ samples: 1000, flowSamples: 50, pathSamples: 5000 })();
  checkCoupling(config({ coupling: "class_ot", conditional: true }));
  checkValidation(config(plateau), { ...images, validation: new Uint32Array(1) });
  const refused: [check: () => void, words: RegExp][] = [
    [pictures({ samples: 1_000_000 }), /^RunError: Cannot draw 1000000 images /],
    [
      pictures({ flowSamples: 100_000 }),
      /^ConfigError: Cannot use --flow-samples 100000 here: .*most 1695\)/,
    ],
    [pictures({ pathSamples: 3_000_000 }), /^ConfigError: Cannot use --path-samples 3000000 here/],
    [
      () => checkCoupling(config({ coupling: "class_ot", conditional: false })),
      /--coupling class_ot: it pairs /,
    ],
    [() => checkValidation(config(plateau), images), /with --val-fraction 0.004: that holds out none of 96 /],
  ];
  for (const [check, words] of refused) assert.throws(check, words);
});
