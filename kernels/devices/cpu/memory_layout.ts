// The memory that host and kernels share. TypeScript and AssemblyScript both compile this file.

/** Addresses of words, each on a cache line of its own, and sizes in bytes. */
export enum Layout {
  /** Number of programs so far; idle threads sleep on it. */
  start = 1024,
  /** Address of the first call. */
  program = 1088,
  /** Number of calls. */
  calls = 1152,
  /** Threads that run this program. */
  team = 1216,
  /** Threads at the barrier. */
  arrived = 1280,
  /** Number of barriers so far. */
  round = 1344,
  /** Workers that wait for programs. */
  ready = 1408,
  /** 1 tells workers to end. */
  quit = 1472,
  /** 1 after a thread has trapped. */
  failed = 1536,
  /** Address of memory that lasts for the calls of one op. */
  workspace = 1600,
  /** Workers that have ended since they were told to. */
  left = 1664,
  /** Bytes at the address in `workspace`. */
  workspaceBytes = 1728,
  /**
   * Opcode of a call that needs more workspace than there is, and the bytes that it needs, as f64; 0 where none has.
   */
  shortOpcode = 1792,
  neededBytes = 1856,
  /** Memory below this address belongs to the kernels. */
  reserved = 8192,
  /**
   * Bytes of a call, and where in it are the number of the next task, 1 where one thread runs it alone, and the
   * arguments.
   */
  callBytes = 128,
  nextTask = 4,
  alone = 8,
  words = 12,
}
