import { integer, number, optional, toggle } from "../kinds.ts";
import type { Values } from "../setting.ts";
import { defineSettings } from "../settings.ts";
import { type PresetName, type TrainingConfig, trainingConfig } from "./train_config.ts";
import { network, training } from "./train.ts";

const { rows } = training;

/** The settings of the task that chooses kernels. */
export const tuning = defineSettings({
  model: { ...network, default: "residual" },
  preset: optional({ ...rows.preset, doc: "sizes of the step (else standard on a GPU, quick without)" }),
  filters: optional({ ...rows.filters, doc: "channels of each level (else the preset's)" }),
  tEmb: optional({ ...rows.tEmb, doc: "features of the time embedding (else the preset's)" }),
  batchSize: optional({ ...rows.batchSize, doc: "images per step (else the preset's)" }),
  attn: rows.attn,
  groups: rows.groups,
  size: integer({ doc: "height and width of the images", min: 1, default: 28 }),
  channels: integer({ doc: "channels of the images", min: 1, default: 1 }),
  precision: rows.precision,
  seconds: number({ doc: "about how long to measure", above: 0, default: 60 }),
  anew: toggle({ doc: "measure again what is known from earlier starts", default: false }),
  json: toggle({ doc: "print JSON", default: false }),
});

/** The settings of the task by name. */
export type TuneConfig = Values<typeof tuning.rows>;

/**
 * The training whose step is tuned.
 *
 * @throws {ConfigError} if the network cannot be built
 */
export function trainingConfigOf(
  { preset, filters, tEmb, batchSize, model, attn, groups, precision }: TuneConfig,
  defaultPreset: PresetName,
): TrainingConfig {
  const given = { filters, tEmb, batchSize };
  return trainingConfig({
    ...{ model, attn, precision, conditional: false },
    ...model === "residual" || attn ? { groups } : {},
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null)),
  }, preset ?? defaultPreset);
}
