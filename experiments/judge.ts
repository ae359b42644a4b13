import { init } from "../kernels/mod.ts";
import { loadDataset } from "./data/load_dataset.ts";
import { sha256 } from "./run/sha256.ts";
import { batchSize, makeJudge } from "./judge/train_judge.ts";
import { judgedData } from "./judge/data_judge.ts";
import { runTask, stopSignal } from "./program/command.ts";
import { ProgressBar } from "./program/progress.ts";
import { checkFolderOf, writeAtomic } from "./run/atomic_write.ts";
import { judging, resolveJudgeConfig } from "./settings/tasks/judge.ts";
import { print, say } from "./terminal/output.ts";

await runTask(async () => {
  const flags = judging.parse(Deno.args);
  if (flags.help) {
    print(judging.help("deno task judge"));
    return;
  }
  const config = resolveJudgeConfig(flags);
  const { out, steps, seed } = config;
  await checkFolderOf(out);
  const data = judgedData(await loadDataset(config.data ?? undefined));
  const device = await init(config);
  using stop = stopSignal((signal) => say(`\n${signal}: stopping`));
  say(`Training a judge for ${data.name}, ${steps} steps on ${device.description}`);
  using bar = new ProgressBar({ totalSteps: steps, imagesPerStep: batchSize });
  const made = await makeJudge(data, {
    ...{ steps, seed, signal: stop.signal },
    onProgress: (step, loss) => bar.update(step, loss),
  });
  bar.finish();
  if (made) {
    await writeAtomic(out, made.bytes);
    const { test: { count }, name } = data;
    const right = Math.round(made.info.accuracy * count);
    print(`${(100 * made.info.accuracy).toFixed(2)} % of the test images of ${name} (${right} of ${count})`);
    say(`${out}: SHA-256 ${await sha256(made.bytes)}`);
  }
  device.close();
  if (!made) Deno.exit(stop.exitCode);
});
