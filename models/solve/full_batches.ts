/** One of several batches that cover a number of samples. */
export interface FullBatch {
  /** Its first sample. */
  readonly from: number;
  /** The first of its samples that no earlier batch holds. */
  readonly fresh: number;
}

/**
 * Covers samples by batches of one size, so that one recorded step serves all: the last batch starts early to be full.
 *
 * @param most samples a batch
 * @returns the samples of each batch, and the batches in order
 */
export function fullBatches(count: number, most: number): { length: number; batches: readonly FullBatch[] } {
  const batches = Math.ceil(count / most);
  const length = Math.ceil(count / batches);
  return {
    length,
    batches: Array.from({ length: Math.ceil(count / length) }, (_, i) => ({
      from: Math.min(i * length, count - length),
      fresh: i * length,
    })),
  };
}
