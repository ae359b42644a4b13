// What host and kernels both know of the memory that they share; enums, which both languages read.

/** Addresses of words, each on a cache line of its own, and sizes in bytes. */
export enum Layout {
  /** Counts programs; idle threads sleep on it. */
  start = 1024,
  /** Address of the first call. */
  program = 1088,
  calls = 1152,
  /** Threads that take part in this program. */
  team = 1216,
  /** Threads at the barrier. */
  arrived = 1280,
  /** Counts barriers. */
  round = 1344,
  /** Workers that can be called. */
  ready = 1408,
  quit = 1472,
  /** A thread has trapped. */
  failed = 1536,
  /** Address of memory that lasts for one call. */
  workspace = 1600,
  /** Workers that have ended since they were told to. */
  left = 1664,
  /** Memory below is the kernels' own. */
  reserved = 8192,
  /** Bytes of a call, and where its words begin. */
  callBytes = 128,
  words = 8,
}

/** Blocks of matrix products, in numbers, and the scratch that they are packed into, in bytes. */
export enum Gemm {
  rows = 6,
  columns = 8,
  /** A packed block of a, depth x height, stays in the second cache, a panel of b, depth x columns, in the first. */
  depth = 256,
  height = 192,
  scratch = (depth * (height + columns) + rows * columns) * 4,
}
