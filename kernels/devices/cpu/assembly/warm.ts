// Prefetching.

/**
 * Reads memory once in order, which the processor can prefetch, so that it is cached when it is used in another order.
 *
 * @param scratch 16 bytes that are overwritten, which keeps the reads from being optimised away
 */
export function warm(from: usize, bytes: usize, scratch: usize): void {
  let any = v128.load(from);
  for (let i: usize = 64; i < bytes; i += 64) any = v128.or(any, v128.load(from + i));
  v128.store(scratch, any);
}
