import { closest } from "npm:fastest-levenshtein@1.0.16";

/** Throws a {@linkcode TypeError} that suggests the nearest name unless `name` is one of `names`. */
export function checkName(task: string, kind: string, name: string, names: readonly string[]): void {
  if (names.includes(name)) return;
  throw new TypeError(
    `Cannot ${task}: no ${kind} is named "${name}", did you mean "${closest(String(name), [...names])}"? ` +
      `(expected one of ${names.join(", ")})`,
  );
}
