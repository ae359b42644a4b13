import { type CheckName, checks } from "./checks.ts";
import type { Finding } from "./finding.ts";
import type { Machine } from "./machine.ts";

/** A finding, and which check made it. */
export type Line = Finding & { readonly check: CheckName };

/** Runs all checks, in their order; gives each line as soon as it is known. */
export async function* examine(machine: Machine): AsyncGenerator<Line> {
  for (const [name, check] of Object.entries(checks)) {
    for (const finding of await check(machine)) yield { check: name as CheckName, ...finding };
  }
}

/** A line as people read it: what is so and, if it is not well, what to do. */
export function lineText({ check, state, says, advice }: Line): string {
  const columns = `${state.padEnd(8)} ${check.padEnd(10)}`;
  return `${columns} ${says}${advice === undefined ? "" : `; ${advice}`}`;
}

/** Lines as `--json` prints them: numbers as numbers, sizes in bytes. */
export function asJson(lines: readonly Line[]) {
  return {
    ok: lines.every(({ state }) => state !== "error"),
    findings: lines.map(({ check, state, says, advice = null, values = {} }) => {
      return { check, state, says, advice, values };
    }),
  };
}
