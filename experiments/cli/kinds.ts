import {
  anyOf,
  check,
  type FieldCheck,
  flag,
  listOf,
  numberIn,
  oneOf,
  type Range,
  wholeNumberIn,
  word,
} from "../run/field_checks.ts";
import { serverUrl, shownAddress } from "../run/program_files.ts";
import { asText, didYouMean, type Need, type Setting, type Traits, valueOf } from "./settings.ts";

/** Options of every kind of setting. */
export interface Options<Value> extends Traits {
  readonly doc: string;
  readonly details?: readonly string[];
  readonly default?: Value;
  readonly needs?: Need;
}

/** A whole number, at least 0 by default. */
export function integer(options: Options<number> & Range): Setting<number> {
  return { ...options, ...wholeNumberIn({ min: 0, ...options }), hint: "N", fromText: toNumber };
}

/** A finite number in a range. */
export function number(options: Options<number> & Range): Setting<number> {
  return { ...options, ...numberIn(options), hint: "X", fromText: toNumber };
}

const lengths = listOf(wholeNumberIn({ min: 1 }));

/** A list of positive whole numbers, written `16,32,64`. */
export function integers(options: Options<readonly number[]>): Setting<readonly number[]> {
  return {
    ...options,
    hint: "N,N,...",
    expected: "whole numbers of at least 1, such as 16,32,64",
    fromText: numbersOf,
    accepts: (value): value is readonly number[] => lengths.accepts(value) && value.length > 0,
  };
}

/** One of several words. */
export function choice<const Word extends string>(
  choices: readonly Word[],
  options: Options<NoInfer<Word>>,
): Setting<Word> {
  return { ...options, ...oneOf(choices), hint: choices.join("|"), choices };
}

/** A switch, turned on by `--name` and off by `--no-name`. */
export function toggle(options: Options<boolean>): Setting<boolean> {
  return { ...options, ...flag };
}

/** A switch that the program decides by default ("auto"). */
export function autoToggle(options: Options<boolean | "auto">): Setting<boolean | "auto"> {
  return {
    ...options,
    expected: "true, false or auto",
    accepts: (value): value is boolean | "auto" => value === "auto" || flag.accepts(value),
  };
}

/** Text that matches a pattern. */
export function text(
  options: Options<string> & { hint: string; pattern: RegExp; expected: string },
): Setting<string> {
  return { ...options, ...matching(options.pattern, options.expected) };
}

function matching(pattern: RegExp, expected: string): FieldCheck<string> {
  return check(expected, (value) => typeof value === "string" && pattern.test(value));
}

/** Checks a text by a function that reads it; if that returns a text, it says what is wrong. */
export function checkedBy(read: (text: string) => unknown) {
  const problemOf = (text: string) => {
    const result = read(text);
    return typeof result === "string" ? result : undefined;
  };
  return {
    accepts: (value: unknown): value is string => typeof value === "string" && problemOf(value) === undefined,
    problem: (value: unknown) => problemOf(asText(value)),
  };
}

/** The name of a file or folder, without a path. */
export const fileName = matching(/^\w[\w.-]*$/, "letters, digits, dots, hyphens and underscores");

/** A path; `hint` stands for it in `--help`. */
export function path(hint: string, doc: string, traits: Traits = {}): Setting<string> {
  return text({ ...traits, doc, hint, pattern: /./, expected: "a path" });
}

/**
 * The file that a task writes, with an extension that says what it holds.
 *
 * @param endings of the file name, such as `.png`
 */
export function outputFile(endings: readonly string[], options: Options<string>): Setting<string> {
  const accepts = (value: unknown): value is string =>
    typeof value === "string" && endings.some((ending) => value.endsWith(ending));
  return { ...options, hint: "FILE", expected: `a path that ends with ${anyOf(endings)}`, accepts };
}

/** A server address without user and password, which others could see; errors show no part that may be secret. */
export function address(hint: string, doc: string): Setting<string> {
  const text = line(hint, doc);
  const why =
    "other users can see command lines; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead";
  return {
    ...text,
    shown: (value) => typeof value === "string" ? shownAddress(value) : "",
    ...checkedBy((value) => {
      if (!text.accepts(value)) return `expected ${text.expected}`;
      const url = serverUrl(value);
      return url && url.username + url.password !== "" ? why : undefined;
    }),
  };
}

/** A name; `hint` stands for it in `--help`. */
export function line(hint: string, doc: string, traits: Traits = {}): Setting<string> {
  return text({ ...traits, doc, hint, pattern: /^\P{Cc}+$/u, expected: "one line of text" });
}

/** A setting that may be absent (null in `config.json`). */
export function optional<Value, Written>(
  setting: Setting<Value, Written>,
): Setting<Value | null, Written | null> {
  return {
    ...setting,
    default: null,
    accepts: (value): value is Written | null => value === null || setting.accepts(value),
    read: setting.read && ((written) => written === null ? null : setting.read!(written)),
    write: setting.write && ((value) => value === null ? null : setting.write!(value)),
  };
}

/** A number that the program decides if it is `auto`. */
export function orAuto({ fromText, ...setting }: Setting<number>): Setting<number | "auto"> {
  return {
    ...setting,
    hint: `${setting.hint}|auto`,
    expected: `${setting.expected}, or auto`,
    fromText: (text) => text === "auto" ? text : fromText!(text),
    accepts: (value): value is number | "auto" => value === "auto" || setting.accepts(value),
  };
}

/** Classes, each by its name or number, or all of them. */
export type Classes = readonly string[] | "all";

/** A choice of classes, written `3,owl` or `all`, or another word. */
export function classList<const Others extends readonly string[]>(
  doc: string,
  ...keywords: Others
): Setting<Classes | Others[number] | null> {
  const words: readonly string[] = ["all", ...keywords];
  const setting: Setting<Classes | Others[number]> = {
    doc,
    hint: ["NAME,NAME,...", ...words].join("|"),
    expected: ["classes by name or number, such as 3,owl", ...words].join(", or "),
    fromText: (text) => words.includes(text) ? text : text.split(","),
    accepts: (value): value is Classes | Others[number] =>
      oneOf(words).accepts(value) || listOf(word).accepts(value),
  };
  return optional(setting);
}

/** The range of t with guidance, written `0.1,1`. */
export function interval(doc: string): Setting<readonly [from: number, to: number] | null> {
  const setting: Setting<readonly [from: number, to: number]> = {
    doc,
    hint: "FROM,TO",
    expected: "two times from 0 to 1, the lower first, such as 0.1,1",
    fromText: numbersOf,
    accepts: (value): value is readonly [number, number] =>
      Array.isArray(value) && value.length === 2 && value[0] >= 0 && value[0] < value[1] && value[1] <= 1,
  };
  return optional(setting);
}

function toNumber(text: string): number {
  return text.trim() === "" ? NaN : Number(text);
}

/** The numbers in a text, between commas. */
export function numbersOf(text: string): number[] {
  return text.split(",").map(toNumber);
}

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

/** A variant that a setting chooses. */
export interface Chosen<T, Name extends string = string> {
  readonly name: Name;
  readonly value: T;
  /** As it was written: `name` or `name:key=value,key=value`. */
  readonly text: string;
}

/** The names and values of a registry. */
type ChosenFrom<Registry> = Registry extends VariantRegistry<infer T> ? Chosen<T, keyof Registry & string>
  : never;

/**
 * A setting that chooses a variant and may set its numbers, written `name` or `name:key=value,key=value`.
 *
 * @param registry the variants, with their settings, defaults and bounds
 */
export function variant<Registry extends VariantRegistry<unknown>>(
  registry: Registry,
  options: Omit<Options<string>, "default"> & { readonly default?: keyof Registry & string },
): Setting<ChosenFrom<Registry>, string> {
  const names = Object.keys(registry);
  const expected = anyOf(names);
  const plain = names.every((name) => Object.keys(registry[name].settings).length === 0);
  const read = (text: string) => chooseVariant(registry, text) as ChosenFrom<Registry>;
  return {
    ...options,
    default: options.default === undefined ? undefined : read(options.default),
    hint: plain ? names.join("|") : "NAME[:KEY=X,...]",
    expected,
    details: Object.entries(registry).map(helpLine),
    ...checkedBy((text) => parse(registry, text)),
    read,
    write: ({ text }) => text,
  };
}

/** `logit_normal:mean=0,scale=1  sigmoid of a normal number; mean: ...; scale: ...`. */
function helpLine([name, { doc, settings }]: [string, Variant<unknown>]): string {
  const own = Object.entries(settings);
  const defaults = own.map(([key, setting]) => `${key}=${setting.default}`).join();
  const start = `${name}${defaults && ":"}${defaults}  ${doc}`;
  return [start, ...own.map(([key, setting]) => `${key}: ${setting.doc}`)].join("; ");
}

/** The variant that a text names. @throws {RangeError} if it is one that {@linkcode variant} refuses */
export function chooseVariant<T>(registry: VariantRegistry<T>, text: string): Chosen<T> {
  const result = parse(registry, text);
  if (typeof result === "string") throw new RangeError(`Cannot make ${JSON.stringify(text)}: ${result}`);
  return { name: result.name, value: registry[result.name].make(result.settings), text };
}

/** What the value of a pair may be. */
export type PairRow = Pick<Setting<unknown>, "accepts" | "expected" | "fromText" | "problem">;

/** Reads `name:key=value,key=value`, and adds the defaults; or says what is wrong. */
function parse(
  registry: VariantRegistry<unknown>,
  text: string,
): { readonly name: string; readonly settings: Readonly<Record<string, number>> } | string {
  const [name] = text.split(":");
  const names = Object.keys(registry);
  if (!Object.hasOwn(registry, name)) return `expected ${anyOf(names)}${didYouMean(name, names)}`;
  const { settings } = registry[name];
  const all = Object.entries(settings);
  const pairs = pairsAfter(name, text, Object.fromEntries(all.map(([key, row]) => [key, number(row)])));
  if (typeof pairs === "string") return pairs;
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
