/** Settings of runs in tests. */

import assert from "node:assert/strict";
import { type GivenFields, newDistillation, newTraining } from "../../experiments/settings/decide.ts";
import type { PresetName } from "../../experiments/settings/presets.ts";
import { fields, type RunConfig } from "../../experiments/settings/run_config.ts";
import type { WrittenValues } from "../../experiments/cli/settings.ts";

/** Settings as `config.json` writes them. */
export type WrittenSettings = Partial<WrittenValues<typeof fields.rows>>;

/** Settings as values, from what `config.json` would have. */
export function given(written: WrittenSettings): GivenFields {
  const read = fields.readSome(written);
  assert.deepEqual(Object.keys(read).sort(), Object.keys(written).sort(), "all are valid");
  return read;
}

/** The settings of a new training, or of a distillation if they name a teacher. */
export function configOf(written: WrittenSettings, preset?: PresetName): RunConfig {
  const { teacher } = written;
  return teacher ? newDistillation(given(written), teacher, preset) : newTraining(given(written), preset);
}
