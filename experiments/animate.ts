import { animating, parseAnimation } from "./settings/tasks/animate.ts";
import { runTask } from "./program/command.ts";
import { drawTrajectories, pictureName, trajectoryRows } from "./draw/trajectory_picture.ts";
import { loadTrajectories } from "./draw/stored_trajectories.ts";
import { checkFolderOf, writeAtomic } from "./run/atomic_write.ts";
import { print, say } from "./terminal/output.ts";

await runTask(async () => {
  const config = parseAnimation(Deno.args);
  if (config.help) {
    print(animating.help("deno task animate RUN..."));
    return;
  }
  const out = config.out ?? pictureName(config);
  await checkFolderOf(out);
  const started = performance.now();
  const { warning, ...picture } = trajectoryRows(
    await loadTrajectories(config.runs, config),
    config.samples ?? [],
  );
  if (warning) say(warning);
  const { bytes, holds } = await drawTrajectories(picture, config);
  await writeAtomic(out, bytes);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  say(`${holds}, ${(bytes.length / 1e6).toFixed(2)} MB in ${seconds} s: ${out}`);
});
