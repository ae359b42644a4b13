import type { Terminal } from "../program/progress.ts";
import type { Trainer } from "../../models/mod.ts";

/** Milliseconds before progress is shown; drivers with cached kernels take less. */
const quietMs = 1000;

/**
 * Compiles the kernels of a training step. If that takes a while, as on a first start, a terminal shows progress and
 * other output gets one line.
 *
 * @param terminal where to show progress, if anywhere
 * @param now the time in milliseconds
 */
export async function compileKernels(
  trainer: Pick<Trainer, "compile">,
  terminal: Terminal | undefined,
  now: () => number = () => performance.now(),
): Promise<void> {
  const startMs = now();
  let shown = false;
  await trainer.compile((done, all) => {
    if (!terminal || now() - startMs < quietMs) return;
    if (terminal.isTerminal) terminal.write(`\rcompiling kernels ${done}/${all}\x1b[K`);
    else if (!shown) terminal.write(`compiling kernels, ${all} in all\n`);
    shown = true;
  });
  if (shown && terminal?.isTerminal) terminal.write("\r\x1b[K");
}
