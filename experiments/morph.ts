import { init } from "../kernels/mod.ts";
import type { Dataset } from "./data/dataset.ts";
import { loadDataset } from "./data/load_dataset.ts";
import { guidanceInWords, runsTwice } from "./draw/conditioning.ts";
import { checkFit, loadNetwork, readWeights } from "./draw/load_network.ts";
import { checkNoClass, chosenClasses, guidanceOf } from "./draw/requested_images.ts";
import { costInWords, solvingError } from "./draw/samples.ts";
import { drawStarts, findEnds, lossInWords } from "./morph/ends.ts";
import { planMorph } from "./morph/plan_morph.ts";
import { runTask } from "./program/command.ts";
import { ProgressBar } from "./program/progress.ts";
import { checkFolderOf, writeAtomic } from "./run/atomic_write.ts";
import { type MorphConfig, morphing, parseMorph } from "./settings/tasks/morph.ts";
import { readConfig } from "./settings/tasks/train_config.ts";
import { print, say } from "./terminal/output.ts";

await runTask(async () => {
  const config = parseMorph(Deno.args);
  if (config.help) {
    print(morphing.help("deno task morph"));
    return;
  }
  const { seed, entry, chosen, out } = config;
  await checkFolderOf(out);
  const { path, bytes, run } = await readWeights(config.checkpoint);
  const device = await init({ device: config.device, threads: config.threads });
  const { model, info, shape } = loadNetwork(bytes, path, config);
  const { classes = 0 } = info.config;
  if (classes === 0) checkNoClass(config, path);
  const known = config.class && chosenClasses(config.class, classes, path);
  const data = await testImages(config, run);
  if (data) checkFit("morph by", path, { shape, classes }, data);

  const guidance = guidanceOf(config);
  const how = [chosen.words, ...classes > 0 ? [guidanceInWords(guidance)] : []].join(", ");
  const morph = planMorph(config, { classes: known, size: shape, ofNetwork: classes, data, note: how });
  const network = { drawable: { model, shape, normalization: info.normalization }, classes };
  const options = { seed, entry, guidance, how: chosen.how };
  const started = performance.now();
  const images = morph.ends.filter((end) => "image" in end).length;
  const bar = new ProgressBar({ totalSteps: images + morph.count, imagesPerStep: 1 });
  const follow = async () => {
    const test = data?.test ?? { images: new Uint8Array() };
    const ends = await findEnds(network, morph.ends, test, options, (done) => bar.update(done));
    const starts = morph.starts(ends.found);
    const drawn = await drawStarts(network, starts, options, (done) => bar.update(images + done));
    return { ...ends, drawn };
  };
  const { found, cost: there, drawn } = await follow().catch((error) => {
    throw solvingError(error, path);
  }).finally(() => bar.clear());
  await writeAtomic(out, await morph.picture(found, drawn.images));
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  if (there) say(`To noise and back: ${lossInWords(morph.returned(found, drawn.images))}`);
  const back = costInWords(drawn.cost);
  const costs = (there ? `to noise ${costInWords(there)}, from noise ${back}` : back) +
    (classes > 0 && runsTwice(guidance) ? " with and without the class" : "");
  say(`${morph.words}, ${how}, ${costs}, in ${seconds} s on ${device.description}: ${out}`);
  device.close();
});

/** The data set with the test images that are asked for; undefined where none are. */
async function testImages(config: MorphConfig, run: string | undefined): Promise<Dataset | undefined> {
  if (!config.from && !config.to) return undefined;
  return await loadDataset(
    config.data ?? (run === undefined ? undefined : readConfig(run).data ?? undefined),
  );
}
