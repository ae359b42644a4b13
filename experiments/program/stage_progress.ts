import type { Terminal } from "./progress.ts";

/** Milliseconds before progress is shown; what takes less needs none. */
const quietMs = 1000;

/** The progress of a stage before a task's main work. */
export interface StageProgress {
  update(done: number, all: number): void;
  /** Removes the line. */
  end(): void;
}

/**
 * Shows a stage that takes a while: on a terminal as a line that is rewritten, elsewhere as one line.
 *
 * @param stage what is done, such as `compiling kernels`
 * @param terminal where to show it, if anywhere
 * @param now the time in milliseconds
 */
export function stageProgress(
  stage: string,
  terminal: Terminal | undefined,
  now: () => number = () => performance.now(),
): StageProgress {
  const startMs = now();
  let shown = false;
  return {
    update(done, all) {
      if (!terminal || now() - startMs < quietMs) return;
      if (terminal.isTerminal) terminal.write(`\r${stage} ${done}/${all}\x1b[K`);
      else if (!shown) terminal.write(`${stage}, ${all} in all\n`);
      shown = true;
    },
    end() {
      if (shown && terminal?.isTerminal) terminal.write("\r\x1b[K");
    },
  };
}
