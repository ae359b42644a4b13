import { flagOf } from "../settings/setting.ts";
import type { CellSettings, Value } from "./plan.ts";

/** What a setting is called in an id, where its own name would not be clear. */
const words: Readonly<Record<string, string>> = { attn: "attention", match: "matched" };

/**
 * Names a cell by its own settings: `residual-attention-off-s1`, `default-s2`.
 *
 * @param settings those in which cells differ
 */
export function cellId(settings: CellSettings, seed: number): string {
  const parts = Object.entries(settings).map(([name, value]) =>
    name === "model" ? slug(value) : `${wordOf(name)}-${slug(value)}`
  );
  return [...parts.length > 0 ? parts : ["default"], `s${seed}`].join("-");
}

/** An id that is not taken: the id itself, else with a number before the seed. */
export function withoutClash(id: string, taken: readonly string[]): string {
  for (let n = 1;; n++) {
    const candidate = n === 1 ? id : id.replace(/(?=-s\d+$)/, `-${n}`);
    if (!taken.includes(candidate)) return candidate;
  }
}

/** What the cells of all seeds have in common of their ids. */
export function withoutSeed(id: string): string {
  return id.replace(/-s\d+$/, "");
}

const wordOf = (name: string) => words[name] ?? flagOf(name).slice(2);

function slug(value: Value): string {
  if (typeof value === "boolean") return value ? "on" : "off";
  return String(value).replaceAll(/[^\w.]+/g, "-").replaceAll(/^-+|-+$/g, "");
}
