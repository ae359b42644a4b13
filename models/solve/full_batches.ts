/** One of the batches that cover a number of samples. */
export interface FullBatch {
  /** Its first sample. */
  readonly from: number;
  /** Its first sample that is not in an earlier batch. */
  readonly fresh: number;
}

/**
 * Covers samples with batches of one size, so that one recorded step serves all. The last batch overlaps the one before.
 *
 * @param most largest batch
 * @returns the size of each batch, and the batches in order
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
