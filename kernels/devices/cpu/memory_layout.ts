// The memory shared by host and kernels. This file is compiled as TypeScript and as AssemblyScript.

/** Addresses of words, each on its own cache line, and sizes in bytes. */
export enum Layout {
  /** Number of programs started so far; idle threads sleep on it. */
  start = 1024,
  /** Address of the first call. */
  program = 1088,
  /** Number of calls. */
  calls = 1152,
  /** Number of threads that run this program. */
  team = 1216,
  /** Number of threads at the barrier. */
  arrived = 1280,
  /** Number of barriers so far. */
  round = 1344,
  /** Number of workers waiting for programs. */
  ready = 1408,
  /** 1 tells workers to end. */
  quit = 1472,
  /** 1 after a thread has trapped. */
  failed = 1536,
  /** Address of scratch memory for the calls of one op. */
  workspace = 1600,
  /** Number of workers that have ended after `quit`. */
  left = 1664,
  /** Bytes of the scratch memory. */
  workspaceBytes = 1728,
  /** Opcode of a call that needs more workspace than there is, and the bytes that it needs, as f64; 0 if none does. */
  shortOpcode = 1792,
  neededBytes = 1856,
  /** Whether the engine joins two vectors into one; see `product_blocks.ts`. */
  wide = 1920,
  /** How much of each thread's share of a call is taken, for up to 64 threads. Constants of the kernels begin at 6144. */
  shares = 2048,
  /**
   * Scratch of each thread at constant addresses: a tile of a product before and after, a panel, results of a panel
   * with few columns, then columns of a. Memory below belongs to the kernels.
   */
  blocks = 8192,
  tileBytes = 1024,
  edge = 9728,
  edgeRows = 192,
  spread = 22016,
  blockBytes = 308736,
  /** Most columns of a that are copied to `spread`, up to 127 lines of them. */
  spreadColumns = 528,
  /** Lines of the deepest part of a panel. */
  panelLines = 64,
  /** Bytes from a panel, or from the window of a depthwise convolution, to the weights of the latter. */
  weights = 1024,
  /** Bytes of a call, and offsets in it: 1 if it runs on one thread, and the arguments. */
  callBytes = 128,
  singleThreaded = 4,
  words = 8,
}
