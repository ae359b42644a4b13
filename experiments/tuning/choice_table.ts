import type { KernelChoice } from "../../kernels/mod.ts";
import { textTable } from "../terminal/table.ts";

const shownMs = (ms: number) => ms.toFixed(3);

/** How much of a step a call takes, as far as it was measured. */
const costOf = ({ calls, chosen, milliseconds }: KernelChoice) => calls * (milliseconds[chosen] ?? 0);

/** What was tried for each call, first the most expensive ones, with the milliseconds of a run, and what was chosen. */
export function choiceTable(choices: readonly KernelChoice[]): string {
  const heading = ["calls", "kernel and sizes", "chosen", "ms", "others, ms"];
  const known = choices.filter(({ by }) => by !== "table").sort((a, b) => costOf(b) - costOf(a));
  const rows = known.map(({ key, calls, chosen, milliseconds }) => {
    const others = Object.entries(milliseconds).filter(([name]) => name !== chosen)
      .sort(([, a], [, b]) => a - b)
      .map(([name, ms]) => `${name} ${shownMs(ms)}`);
    const ms = chosen in milliseconds ? shownMs(milliseconds[chosen]) : "";
    return [String(calls), key.call, chosen, ms, others.join(", ") || "(from an earlier start)"];
  });
  return textTable([heading, ...rows], (column) => column === 0 || column === 3);
}

/** What the choices win: milliseconds a step of the measured calls, with the table's candidates and with the chosen ones. */
export function winOf(choices: readonly KernelChoice[]): { table: number; chosen: number } | undefined {
  const measured = choices.filter(({ by }) => by === "measurement");
  if (measured.length === 0) return undefined;
  const total = (name: (choice: KernelChoice) => string) =>
    measured.reduce((sum, choice) => sum + choice.calls * choice.milliseconds[name(choice)], 0);
  return { table: total(({ candidates }) => candidates[0]), chosen: total(({ chosen }) => chosen) };
}
