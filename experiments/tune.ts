import { init, type KernelChoice } from "../kernels/mod.ts";
import { ImageSource } from "./data/image_source.ts";
import { settingsWithNetwork } from "./networks/network_flags.ts";
import { stderr } from "./cli/progress.ts";
import { main, stopSignal, task } from "./cli/task.ts";
import { integer, number, optional, toggle } from "./cli/kinds.ts";
import { formatNetwork, ownModel } from "./cli/model_setting.ts";
import type { Values } from "./cli/setting.ts";
import { defineSettings } from "./cli/settings.ts";
import {
  network,
  normalizationTo,
  presetFor,
  type PresetName,
  training,
  type TrainingConfig,
} from "./cli/training.ts";
import { trainingConfig } from "./cli/training_config.ts";
import { print, say, textTable } from "./cli/output.ts";
import { makeNetwork } from "./training/network.ts";
import { decideConditional } from "./training/training_data.ts";
import { measureKernels, untuned } from "./training/tune_kernels.ts";

const { rows } = training;

const tuning = defineSettings({
  model: { ...network, default: "residual" },
  preset: optional({
    ...rows.preset,
    doc: "preset whose step is tuned (default: standard on a GPU, else quick)",
  }),
  filters: optional({ ...rows.filters, doc: "channels of each level (default: the preset's)" }),
  tEmb: optional({ ...rows.tEmb, doc: "features of the time embedding (default: the preset's)" }),
  batchSize: optional({ ...rows.batchSize, doc: "images per step (default: the preset's)" }),
  attn: rows.attn,
  groups: rows.groups,
  size: integer({ doc: "height and width of the images", min: 1, default: 28 }),
  channels: integer({ doc: "channels of the images", min: 1, default: 1 }),
  precision: rows.precision,
  seconds: number({ doc: "approximate seconds to measure for", above: 0, default: 60 }),
  remeasure: toggle({ doc: "measure again, ignoring earlier results", default: false }),
  json: toggle({ doc: "print JSON", default: false }),
});

type TuneConfig = Values<typeof tuning.rows>;

/** The training whose step is tuned. */
function tunedConfig(
  { preset, filters, tEmb, batchSize, model, attn, groups, precision }: TuneConfig,
  defaultPreset: PresetName,
): TrainingConfig {
  const sizes = { filters, tEmb, batchSize };
  return trainingConfig({
    ...{ model, precision, conditional: false },
    ...ownModel(model) ? {} : { attn },
    ...!ownModel(model) && (model === "residual" || attn) ? { groups } : {},
    ...Object.fromEntries(Object.entries(sizes).filter(([, value]) => value !== null)),
  }, preset ?? defaultPreset);
}

export const tuneTask = task({
  name: "tune",
  about: "Choose the fastest kernels for a training step on this GPU, and print all candidates",
  settings: tuning,
  settingsFor: (argv) => settingsWithNetwork(tuning, argv),
  async run(settings) {
    const { size, channels, seconds, remeasure, json } = settings;
    const device = await init({ device: "webgpu" });
    const shape = { name: "images", classes: 0, channels, height: size, width: size };
    const config = decideConditional(tunedConfig(settings, presetFor(device)), shape, say);
    const pixels = new Uint8Array(config.batchSize * channels * size * size);
    const { trainer } = makeNetwork(
      config,
      new ImageSource(pixels, shape, normalizationTo(config.normalize)),
    );
    const { batchSize } = config;
    const step = `a training step of ${
      formatNetwork(config)
    }, batch ${batchSize}, ${channels}x${size}x${size}`;
    using stop = stopSignal((signal) => say(`\n${signal}: stopping; press again to quit immediately`));
    say(`Tuning ${step} on ${device.description}`);
    const more = `${remeasure ? "without --remeasure, the command" : "the same command"} continues from here`;
    const { signal } = stop;
    const choices = await measureKernels(trainer, { seconds, remeasure, signal, say, terminal: stderr });
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
    const left = untuned(choices);
    if (win) {
      const [table, chosen] = [win.table, win.chosen].map((ms) => `${ms.toFixed(2)} ms`);
      print(`measured calls of a step: ${table} with the default kernels, ${chosen} with the chosen ones`);
    }
    if (left) say(`Not measured, for lack of time or memory: ${left}; ${more}`);
  },
});

const shownMs = (ms: number) => ms.toFixed(3);

/** Measured share of a step, in milliseconds. */
const costOf = ({ calls, chosen, milliseconds }: KernelChoice) => calls * (milliseconds[chosen] ?? 0);

/** A table of the candidates of each call with their times, most expensive calls first. */
function choiceTable(choices: readonly KernelChoice[]): string {
  const heading = ["calls", "kernel and sizes", "chosen", "ms", "other candidates, ms"];
  const decided = choices.filter(({ by }) => by !== "table").sort((a, b) => costOf(b) - costOf(a));
  const rows = decided.map(({ key, calls, chosen, milliseconds }) => {
    const others = Object.entries(milliseconds).filter(([name]) => name !== chosen)
      .sort(([, a], [, b]) => a - b)
      .map(([name, ms]) => `${name} ${shownMs(ms)}`);
    const ms = chosen in milliseconds ? shownMs(milliseconds[chosen]) : "";
    return [String(calls), key.call, chosen, ms, others.join(", ") || "(from an earlier start)"];
  });
  return textTable([heading, ...rows], (column) => column === 0 || column === 3);
}

/** Milliseconds per step of the measured calls, with the default candidates and with the chosen ones. */
function winOf(choices: readonly KernelChoice[]): { table: number; chosen: number } | undefined {
  const measured = choices.filter(({ by }) => by === "measurement");
  if (measured.length === 0) return undefined;
  const total = (name: (choice: KernelChoice) => string) =>
    measured.reduce((sum, choice) => sum + choice.calls * choice.milliseconds[name(choice)], 0);
  return { table: total(({ candidates }) => candidates[0]), chosen: total(({ chosen }) => chosen) };
}

if (import.meta.main) await main(tuneTask);
