// Masks for partly used vectors.

const MASKS = memory.data<i32>([0, 0, 0, 0, -1, 0, 0, 0, -1, -1, 0, 0, -1, -1, -1, 0, -1, -1, -1, -1]);

/** Mask of the first `count` lanes; all lanes from 4 on. */
export function firstLanes(count: i32): v128 {
  return v128.load(MASKS + ((<usize> min(count, 4)) << 4));
}
