/** Checks a value: a field of a JSON file or answer or, as part of a `Setting`, a word of a command line. */
export interface FieldCheck<Value = unknown> {
  /** Ends the sentence "expected ..." in errors. */
  readonly expected: string;
  /** Whether a value is valid. */
  accepts(value: unknown): value is Value;
}

/** The type that a check accepts. */
export type Checked<Check> = Check extends FieldCheck<infer Value> ? Value : never;

/** The names of fields that may be missing. */
type Optional<Checks> = {
  [Name in keyof Checks]: undefined extends Checked<Checks[Name]> ? Name : never;
}[keyof Checks];

/** The type of an object whose fields pass these checks. */
export type Fields<Checks> =
  & { readonly [Name in Exclude<keyof Checks, Optional<Checks>>]: Checked<Checks[Name]> }
  & { readonly [Name in Optional<Checks>]?: Checked<Checks[Name]> };

/** A check by a function that tells whether a value is valid. */
export function check<Value>(expected: string, isValid: (value: unknown) => boolean): FieldCheck<Value> {
  return { expected, accepts: (value): value is Value => isValid(value) };
}

/** Any text. */
export const textField = check<string>("text", (value) => typeof value === "string");

/** Non-empty text that is valid Unicode, such as a name or path. */
export const word = check<string>(
  "non-empty text",
  (value) => typeof value === "string" && value !== "" && value.isWellFormed(),
);

/** Bounds of a number: `min` and `max` are inclusive, `above` and `below` exclusive. */
export interface Range {
  readonly min?: number;
  readonly above?: number;
  readonly max?: number;
  readonly below?: number;
}

/** A finite number in a range. */
export function numberIn(range: Range): FieldCheck<number> {
  return check(
    `a number ${rangeText(range)}`.trim(),
    (value) => Number.isFinite(value) && within(value, range),
  );
}

/** A whole number in a range. */
export function wholeNumberIn(range: Range): FieldCheck<number> {
  const isValid = (value: unknown) => Number.isSafeInteger(value) && within(value, range);
  return check(`a whole number ${rangeText(range)}`, isValid);
}

function within(given: unknown, range: Range): boolean {
  const { min = -Infinity, above = -Infinity, max = Infinity, below = Infinity } = range;
  const value = Number(given);
  return value >= min && value > above && value <= max && value < below;
}

function rangeText(range: Range): string {
  const words = { min: "of at least", above: "above", max: "of at most", below: "below" } as const;
  const given = (Object.keys(words) as (keyof Range)[]).filter((bound) => range[bound] !== undefined);
  return given.map((bound) => `${words[bound]} ${range[bound]}`).join(" and ");
}

/** A finite number. */
export const finiteNumber = numberIn({});

/** A number, NaN and infinities included. */
export const anyNumber = check<number>("a number", (value) => typeof value === "number");

/** True or false. */
export const flag = check<boolean>("true or false", (value) => typeof value === "boolean");

/** A whole number of at least 0. */
export const count = wholeNumberIn({ min: 0 });

/** Milliseconds since 1970, within the range of `Date`. */
export const time = check<number>(
  "milliseconds since 1970",
  (value) => Number.isFinite(value) && Math.abs(Number(value)) <= 8.64e15,
);

/** One of several words. */
export function oneOf<Word extends string>(words: readonly Word[]): FieldCheck<Word> {
  return check(anyOf(words), (value) => words.some((word) => word === value));
}

/** Accepts null or what the check accepts. */
export function orNull<Value>({ expected, accepts }: FieldCheck<Value>): FieldCheck<Value | null> {
  return check(`${expected} or null`, (value) => value === null || accepts(value));
}

/** Accepts a missing field or what the check accepts, but not null. */
export function ifGiven<Value>({ expected, accepts }: FieldCheck<Value>): FieldCheck<Value | undefined> {
  return check(expected, (value) => value === undefined || accepts(value));
}

/** A list of values that pass a check. */
export function listOf<Value>({ expected, accepts }: FieldCheck<Value>): FieldCheck<readonly Value[]> {
  return check(`a list, each ${expected}`, (value) => Array.isArray(value) && value.every(accepts));
}

/** An object whose fields all pass one check. */
export function tableOf<Value>({ expected, accepts }: FieldCheck<Value>): FieldCheck<Record<string, Value>> {
  return check(
    `an object, each field ${expected}`,
    (value) => isObject(value) && Object.values(value).every(accepts),
  );
}

/** An object with these fields. */
export function fieldsOf<Checks extends Readonly<Record<string, FieldCheck>>>(
  checks: Checks,
): FieldCheck<Fields<Checks>> {
  return check(
    ["an object", ...Object.keys(checks)].join(", ").replace(",", " with"),
    (value) => isObject(value) && fieldProblem(value, checks) === undefined,
  );
}

/** Describes the first field that fails its check; undefined if all pass. */
export function fieldProblem(
  fields: Readonly<Record<string, unknown>>,
  checks: Readonly<Record<string, FieldCheck>>,
): string | undefined {
  for (const [name, { expected, accepts }] of Object.entries(checks)) {
    const value = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (!accepts(value)) return `${name} is ${shown(value)} (expected ${expected})`;
  }
  return undefined;
}

/** Lists words as `a, b or c`. */
export function anyOf(words: readonly string[]): string {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}

/** Whether a value is an object, but not a list. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function shown(value: unknown): string {
  if (value === undefined) return "missing";
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}
