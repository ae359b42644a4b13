import type { Launcher } from "./launcher.ts";
import { runHere } from "./run_here.ts";

/** Runs cells on this machine, some of them at once. */
export const local: Launcher = {
  name: "local",
  doc: "runs the cells on this machine",
  flags: ["jobs"],
  collects: true,
  launch: runHere,
};
