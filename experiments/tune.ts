import { type ChoiceStore, init } from "../kernels/mod.ts";
import { ImageSource, normalizationTo } from "./data/image_source.ts";
import { runTask, stopSignal } from "./program/command.ts";
import { stderr } from "./program/progress.ts";
import { stageProgress } from "./program/stage_progress.ts";
import { presetFor } from "./settings/tasks/preset_for.ts";
import { trainingConfigOf, tuning } from "./settings/tasks/tune.ts";
import { print, say } from "./terminal/output.ts";
import { makeNetwork } from "./training/network.ts";
import { ChoiceCache, choiceCacheFile } from "./tuning/choice_cache.ts";
import { choiceTable, winOf } from "./tuning/choice_table.ts";

await runTask(async () => {
  const flags = tuning.parse(Deno.args);
  if (flags.help) {
    print(tuning.help("deno task tune"));
    return;
  }
  const settings = tuning.resolve(flags.values);
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
    Deno.exit(stop.exitCode);
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
});
