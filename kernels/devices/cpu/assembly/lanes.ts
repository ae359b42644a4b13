// Vectors of which only the first lanes count.

const MASKS = memory.data<i32>([0, 0, 0, 0, -1, 0, 0, 0, -1, -1, 0, 0, -1, -1, -1, 0, -1, -1, -1, -1]);

/** All bits of the first `count` lanes; all lanes for 4 and more. */
export function firstLanes(count: i32): v128 {
  return v128.load(MASKS + ((<usize> min(count, 4)) << 4));
}
