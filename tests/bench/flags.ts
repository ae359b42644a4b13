import { type DeviceChoice } from "../../kernels/mod.ts";
import { defaultRepetitions } from "./timing.ts";

/** Flags that every benchmark has, for `parseArgs`. */
export const commonFlags = {
  json: { type: "boolean", default: false },
  device: { type: "string", default: "auto" },
  repetitions: { type: "string", default: String(defaultRepetitions) },
} as const;

/**
 * A flag's positive integer.
 *
 * @throws {TypeError} if it is something else
 */
export function count(flag: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new TypeError(`Cannot use --${flag} ${text} (expected a positive integer)`);
}

/**
 * A flag's word.
 *
 * @throws {TypeError} if it is none of the known ones
 */
export function oneOf<T extends string>(flag: string, text: string, known: readonly T[]): T {
  const found = known.find((word) => word === text);
  if (found !== undefined) return found;
  throw new TypeError(`Cannot use --${flag} ${text} (expected ${known.join(" or ")})`);
}

/** The choice of `--device`. */
export function deviceChoice(text: string): DeviceChoice {
  return oneOf("device", text, ["auto", "webgpu", "cpu"]);
}
