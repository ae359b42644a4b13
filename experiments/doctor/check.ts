import type { Finding } from "./finding.ts";
import type { Machine } from "./machine.ts";

/** A question to a machine, answered by a line or several. */
export type Check = (machine: Machine) => readonly Finding[] | Promise<readonly Finding[]>;
