/** Addresses and sizes that the kernels know too: `assembly/team.ts` and `assembly/call.ts`. */
export const layout = {
  start: 1024,
  ready: 1408,
  quit: 1472,
  failed: 1536,
  workspace: 1600,
  left: 1664,
  /** Memory below is the kernels' own. */
  reserved: 8192,
  callBytes: 128,
  /** Where the words of a call begin. */
  words: 8,
} as const;
