import { closest, distance } from "npm:fastest-levenshtein@1.0.16";
import { refuse, UserError } from "../kernels/core/checks.ts"; // for programs without kernels, too

/** The first letters of a name's words: lr for learningRate and learning_rate. */
const initialsOf = (name: string) =>
  name.replace(/[A-Z]/g, " $&").split(/[^a-zA-Z0-9]+/).map((word) => word.slice(0, 1)).join("").toLowerCase();

/**
 * The known name that was probably meant by an unknown one: one that contains it, as `webgpu` contains `gpu`; one with
 * its initials, as `learningRate` has `lr`; else the closest.
 *
 * @param name the unknown name; case, and settings after a colon, are ignored
 * @param known the names to choose from
 * @returns undefined if every known name differs in more than a third of its letters
 */
export function nearest(name: string, known: Iterable<string>): string | undefined {
  const spelled = new Map([...known].map((word) => [word.toLowerCase(), word]));
  if (spelled.size === 0) return undefined;
  const typed = name.toLowerCase().split(":")[0];
  if (spelled.has(typed)) return spelled.get(typed);
  const longer = [...spelled.keys()].filter((word) => typed.length > 2 && word.includes(typed));
  if (longer.length > 0) return spelled.get(closest(typed, longer));
  const short = [...spelled.values()].find((word) => typed.length > 1 && initialsOf(word) === typed);
  if (short !== undefined) return short;
  const nearestName = closest(typed, [...spelled.keys()]);
  const limit = Math.ceil(Math.max(typed.length, nearestName.length) / 3);
  return distance(typed, nearestName) <= limit ? spelled.get(nearestName) : undefined;
}

/**
 * Refuses an unknown name: `Unknown solver "huen": did you mean "heun"? (known: euler, heun, ...)`.
 *
 * @param what the kind of name, such as "solver"
 * @param of what the name belongs to
 */
export function checkName(what: string, name: string, known: readonly string[], of?: string): void {
  if (known.includes(name)) return;
  const meant = nearest(String(name), known);
  const where = of === undefined ? "" : ` of ${of}`;
  const question = meant === undefined ? "" : `: did you mean "${meant}"?`;
  throw new TypeError(`Unknown ${what} "${name}"${where}${question} (known: ${known.join(", ")})`);
}

/** Values by name, and the settings that each is made from. */
export type Registry<T> = Readonly<Record<string, Made<T>>>;

interface Made<T> {
  readonly settings: Readonly<Record<string, { readonly default: number }>>;
  make(settings: Readonly<Record<string, number>>): T;
}

/** Makes the value of a name with its default settings; `what` and `of` are as for {@linkcode checkName}. */
export function makeDefault<T>(what: string, registry: Registry<T>, name: string, of?: string): T {
  checkName(what, name, Object.keys(registry), of);
  const { settings, make } = registry[name];
  return make(Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, value.default])));
}

/**
 * Checks that settings are an object without unknown fields.
 *
 * @param of what the settings belong to, for the message
 */
export function rejectUnknown(settings: object, known: readonly string[], of: string): void {
  const isObject = typeof settings === "object" && settings !== null && !Array.isArray(settings);
  if (!isObject || "storage" in settings) { // such as a tensor
    const shown = Array.isArray(settings) ? "an array" : String(settings);
    refuse(UserError, `use the settings of ${of}: they are ${shown}`, `an object with ${known.join(", ")}`);
  }
  const unknown = Object.entries(settings).find(([name, value]) =>
    value !== undefined && !known.includes(name)
  );
  if (unknown) checkName("setting", unknown[0], known, of);
}
