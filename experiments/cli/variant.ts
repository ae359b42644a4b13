import { anyOf } from "../run/field_checks.ts";
import { number, type Options, type Range } from "./kinds.ts";
import { asText, didYouMean, type Setting, valueOf } from "./setting.ts";

/** A number that a variant takes. */
export interface VariantSetting extends Range {
  readonly doc: string;
  readonly default: number;
}

/** One of several ways to do something. */
export interface Variant<T> {
  /** One line of `--help`. */
  readonly doc: string;
  /** The variant's own settings by name, if it has any. */
  readonly settings: Readonly<Record<string, VariantSetting>>;
  /** Makes the value from complete settings. */
  make(settings: Readonly<Record<string, number>>): T;
}

/** Variants by name. */
export type VariantRegistry<T> = Readonly<Record<string, Variant<T>>>;

/**
 * A setting whose value names a variant and may set its numbers: `name` or `name:key=value,key=value`. The value is
 * this text, both on the command line and in `config.json`.
 *
 * @param registry the variants, with their settings, defaults and bounds
 */
export function variant(
  registry: VariantRegistry<unknown>,
  options: Options<string>,
): Setting<string> {
  const names = Object.keys(registry);
  const expected = anyOf(names);
  const plain = names.every((name) => Object.keys(registry[name].settings).length === 0);
  return {
    ...options,
    hint: plain ? names.join("|") : "NAME[:KEY=X,...]",
    expected,
    details: Object.entries(registry).map(helpLine),
    accepts: (value): value is string => typeof value === "string" && "settings" in parse(registry, value),
    problem(value) {
      const parsed = parse(registry, asText(value));
      return "problem" in parsed ? parsed.problem : `expected ${expected}`;
    },
  };
}

/** `logit_normal:mean=0,scale=1  sigmoid of a normal number; mean: ...; scale: ...`. */
function helpLine([name, { doc, settings }]: [string, Variant<unknown>]): string {
  const own = Object.entries(settings);
  const defaults = own.map(([key, setting]) => `${key}=${setting.default}`).join();
  const start = `${name}${defaults && ":"}${defaults}  ${doc}`;
  return [start, ...own.map(([key, setting]) => `${key}: ${setting.doc}`)].join("; ");
}

/** Makes the value of a text. @throws {RangeError} if it is one that {@linkcode variant} refuses */
export function makeVariant<T>(registry: VariantRegistry<T>, text: string): T {
  const result = parse(registry, text);
  if ("problem" in result) throw new RangeError(`Cannot make ${JSON.stringify(text)}: ${result.problem}`);
  return registry[result.name].make(result.settings);
}

/** The name of the variant in a text. @throws {RangeError} as {@linkcode makeVariant} */
export function variantName<Name extends string>(
  registry: Readonly<Record<Name, Variant<unknown>>>,
  text: string,
): Name {
  makeVariant<unknown>(registry, text);
  return text.split(":")[0] as Name;
}

/** What the value of a pair may be. */
export type PairRow = Pick<Setting<unknown>, "accepts" | "expected" | "fromText" | "problem">;

type Parsed =
  | { readonly name: string; readonly settings: Readonly<Record<string, number>> }
  | { readonly problem: string };

/** Reads `name:key=value,key=value`, and adds the defaults. */
function parse(registry: VariantRegistry<unknown>, text: string): Parsed {
  const [name] = text.split(":");
  const names = Object.keys(registry);
  if (!Object.hasOwn(registry, name)) {
    return { problem: `expected ${anyOf(names)}${didYouMean(name, names)}` };
  }
  const { settings } = registry[name];
  const all = Object.entries(settings);
  const pairs = pairsAfter(name, text, Object.fromEntries(all.map(([key, row]) => [key, number(row)])));
  if (typeof pairs === "string") return { problem: pairs };
  const defaults = all.map(([key, setting]) => [key, setting.default]);
  const values = [...pairs].map(([key, value]) => [key, Number(value)]);
  return { name, settings: Object.fromEntries([...defaults, ...values]) };
}

/**
 * Reads the pairs after a name, as in `name:key=value,key=value`.
 *
 * @param rows what the values may be, by key
 * @returns the texts by key, or what is wrong
 */
export function pairsAfter(
  name: string,
  text: string,
  rows: Readonly<Record<string, PairRow>>,
): Map<string, string> | string {
  const texts = new Map<string, string>();
  for (const pair of text === name ? [] : text.slice(name.length + 1).split(",")) {
    const [key, ...rest] = pair.split("=");
    if (rest.length === 0) return `"${pair}" is not a setting (expected ${name}:key=value,key=value)`;
    if (texts.has(key)) return `${key} is given twice`;
    if (!Object.hasOwn(rows, key)) {
      const keys = Object.keys(rows);
      return `${name} has no setting ${key}${didYouMean(key, keys)}; it has ${keys.join(", ") || "none"}`;
    }
    const [row, value] = [rows[key], rest.join("=")];
    if (!row.accepts(valueOf(row, value))) {
      return row.problem?.(value) ?? `${key} of ${name} is "${value}" (expected ${row.expected})`;
    }
    texts.set(key, value);
  }
  return texts;
}
