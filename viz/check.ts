import { closest } from "npm:fastest-levenshtein@1.0.16";

/** Throws a {@linkcode RangeError} unless `value` is an integer of at least `min`. */
export function checkInteger(task: string, name: string, value: number, min: number): void {
  if (Number.isInteger(value) && value >= min) return;
  throw new RangeError(`Cannot ${task}: ${name} is ${value} (expected an integer of at least ${min})`);
}

/** Throws a {@linkcode TypeError} that suggests the nearest name unless `name` is one of `names`. */
export function checkName(task: string, kind: string, name: string, names: readonly string[]): void {
  if (names.includes(name)) return;
  throw new TypeError(
    `Cannot ${task}: no ${kind} is named "${name}", did you mean "${closest(String(name), [...names])}"? ` +
      `(expected one of ${names.join(", ")})`,
  );
}

/** Maximum number of pixels in a picture: drawing takes several bytes per pixel, and WebAssembly has 4 GiB. */
export const maxPixels: number = 2 ** 26;

/** Throws a {@linkcode RangeError} if a picture is too large to draw; `advice` ends the message. */
export function checkPixels(task: string, width: number, height: number, advice: string): void {
  if (width * height <= maxPixels) return;
  throw new RangeError(
    `Cannot ${task} of ${width} x ${height} pixels (expected at most ${maxPixels} pixels): choose ${advice}`,
  );
}
