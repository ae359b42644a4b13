import { animating, parseAnimation } from "./settings/tasks/animate.ts";
import { runTask } from "./program/command.ts";
import { drawFlows, pictureName } from "./draw/draw_flows.ts";
import { flowRows } from "./draw/flow_rows.ts";
import { loadFlows } from "./draw/stored_flows.ts";
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
  const { warning, ...picture } = flowRows(await loadFlows(config.runs, config), config.samples ?? []);
  if (warning) say(warning);
  const { bytes, holds } = await drawFlows(picture, config);
  await writeAtomic(out, bytes);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  say(`${holds}, ${(bytes.length / 1e6).toFixed(2)} MB in ${seconds} s: ${out}`);
});
