// Scratch memory that kernels use until the next op. The host allocates as much as `workspaceOf` returns.

import { opcode } from "./call.ts";
import { Layout } from "../memory_layout.ts";

/** Address of the workspace, for a call that needs `bytes`; traps if it is smaller. */
export function claimWorkspace(call: usize, bytes: u64): usize {
  if (bytes > <u64> load<u32>(Layout.workspaceBytes)) {
    store<f64>(Layout.neededBytes, <f64> bytes);
    store<i32>(Layout.shortOpcode, opcode(call));
    unreachable();
  }
  return load<usize>(Layout.workspace);
}
