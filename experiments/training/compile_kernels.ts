import { stageProgress, type Terminal } from "../program/progress.ts";
import type { Trainer } from "../../models/mod.ts";

/**
 * Compiles the kernels of a training step. If that takes a while, as on a first start, progress is shown.
 *
 * @param terminal where to show progress, if anywhere
 * @param now the time in milliseconds
 */
export async function compileKernels(
  trainer: Pick<Trainer, "compile">,
  terminal: Terminal | undefined,
  now?: () => number,
): Promise<void> {
  const progress = stageProgress("compiling kernels", terminal, now);
  await trainer.compile((done, all) => progress.update(done, all));
  progress.end();
}
