// Memory that kernels share until the next op: the host makes it as large as `workspaceOf` says.

import { opcode } from "./call.ts";
import { Layout } from "../memory_layout.ts";

/** The address of the workspace, for a call that needs so many bytes; traps if there are fewer. */
export function claimWorkspace(call: usize, bytes: u64): usize {
  if (bytes > <u64> load<u32>(Layout.workspaceBytes)) {
    store<f64>(Layout.neededBytes, <f64> bytes);
    store<i32>(Layout.shortOpcode, opcode(call));
    unreachable();
  }
  return load<usize>(Layout.workspace);
}
