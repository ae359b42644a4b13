import type { Dataset } from "../data/dataset.ts";
import { loadDataset } from "../data/load_dataset.ts";
import { ProgressBar, type Terminal } from "../program/progress.ts";

/** Where to say and show something. */
export interface Shown {
  readonly say: (message: string) => void;
  readonly terminal?: Terminal | undefined;
  /** Milliseconds after which it is shown how far the reading is; default 1000. */
  readonly patienceMs?: number;
}

/**
 * Loads the data set of a task, and shows how far it is where that takes long.
 *
 * @param source as of `loadDataset`; null is MNIST
 * @throws {DataError} if it cannot be loaded
 */
export async function loadData(
  source: string | null,
  { say, terminal, patienceMs = 1000 }: Shown,
): Promise<Dataset> {
  if (source === null) return await loadDataset();
  const startMs = performance.now();
  let bar: ProgressBar | undefined;
  const onRead = (done: number, total: number) => {
    if (!terminal || bar === undefined && performance.now() - startMs < patienceMs) return;
    if (bar === undefined) say(`Reading images in ${source}`);
    bar ??= new ProgressBar({ totalSteps: total, imagesPerStep: 1, startStep: done }, terminal);
    bar.update(done);
  };
  try {
    return await loadDataset(source, onRead);
  } finally {
    bar?.finish();
  }
}
