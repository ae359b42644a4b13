// Reading ahead.

/**
 * Reads memory once, in order, which the processor foresees, so that it is in the cache when it is used in another order.
 *
 * @param scratch 16 bytes that are overwritten, so that the reading is not optimised away
 */
export function warm(from: usize, bytes: usize, scratch: usize): void {
  let any = v128.load(from);
  for (let i: usize = 64; i < bytes; i += 64) any = v128.or(any, v128.load(from + i));
  v128.store(scratch, any);
}
