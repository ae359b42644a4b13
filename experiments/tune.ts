import { type ChoiceStore, init } from "../kernels/mod.ts";
import { ImageSource, normalizationTo } from "./data/image_source.ts";
import { stageProgress, stderr } from "./program/progress.ts";
import { main, stopSignal, task } from "./program/task.ts";
import { integer, number, optional, toggle } from "./settings/kinds.ts";
import type { Values } from "./settings/setting.ts";
import { defineSettings } from "./settings/settings.ts";
import { network, presetFor, type PresetName, training, type TrainingConfig } from "./settings/training.ts";
import { trainingConfig } from "./settings/training_config.ts";
import { print, say } from "./terminal/output.ts";
import { makeNetwork } from "./training/network.ts";
import { ChoiceCache, choiceCacheFile } from "./tuning/choice_cache.ts";
import { choiceTable, winOf } from "./tuning/choice_table.ts";

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

export const tuneTask = task({
  name: "tune",
  about: "Choose the fastest kernels for a training step on this GPU, and print what was tried",
  settings: tuning,
  async run(settings) {
    const { size, channels, seconds, anew, json } = settings;
    const device = await init({ device: "webgpu" });
    const config = trainingConfigOf(settings, presetFor(device));
    const pixels = new Uint8Array(config.batchSize * channels * size * size);
    const shape = { channels, height: size, width: size };
    const { trainer } = makeNetwork(
      config,
      new ImageSource(pixels, shape, normalizationTo(config.normalize)),
    );
    const { model, filters, batchSize } = config;
    const step = `a training step of ${model} [${filters}], batch ${batchSize}, ${channels}x${size}x${size}`;
    using stop = stopSignal((signal) => say(`\n${signal}: stopping; press again to quit at once`));
    say(`Tuning ${step} on ${device.description}`);
    const more = `${anew ? "without --anew it" : "the same command"} goes on from here`;
    const cache = await ChoiceCache.open(choiceCacheFile, say);
    const store: ChoiceStore = anew
      ? { get: () => undefined, set: (key, chosen) => cache.set(key, chosen) }
      : cache;
    const progress = stageProgress("tuning kernels", stderr);
    const choices = await trainer.tune({
      store,
      seconds,
      progress: (done, all) => progress.update(done, all),
      signal: stop.signal,
    });
    progress.end();
    await cache.save(say);
    device.close();
    if (stop.signal.aborted) {
      say(`Stopped; ${more}`);
      return stop.exitCode;
    }
    const win = winOf(choices);
    if (json) {
      print(JSON.stringify({ device: device.description, step, win: win ?? null, choices }, null, 2));
      return;
    }
    print(choiceTable(choices));
    const left = choices.filter(({ by }) => by === "table").length;
    if (win) {
      print(
        `measured calls of a step: ${win.table.toFixed(2)} ms by the table, ${
          win.chosen.toFixed(2)
        } ms as chosen`,
      );
    }
    if (left > 0) say(`Not measured, for lack of time or memory: ${left}; ${more}`);
  },
});

if (import.meta.main) await main(tuneTask);
