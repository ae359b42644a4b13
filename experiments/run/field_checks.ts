/** What a field of a JSON file or answer must be: in words, and whether a value is that. */
export interface FieldCheck<Value = unknown> {
  readonly expected: string;
  readonly accepts: (value: unknown) => boolean;
  /** Never set: it tells TypeScript the type of what is accepted. */
  readonly type?: Value;
}

/** The type of what a check accepts. */
export type Checked<Check> = Check extends FieldCheck<infer Value> ? Value : never;

/** The type of an object whose fields pass these checks; what may be missing is optional. */
type Fields<Checks> =
  & {
    readonly [Name in keyof Checks as undefined extends Checked<Checks[Name]> ? never : Name]: Checked<
      Checks[Name]
    >;
  }
  & {
    readonly [Name in keyof Checks as undefined extends Checked<Checks[Name]> ? Name : never]?: Checked<
      Checks[Name]
    >;
  };

function check<Value>(expected: string, accepts: FieldCheck["accepts"]): FieldCheck<Value> {
  return { expected, accepts };
}

/** A text. */
export const textField = check<string>("text", (value) => typeof value === "string");

/** A text that is not empty and has a spelling in UTF-8, as names and paths do. */
export const word = check<string>(
  "text that is not empty",
  (value) => typeof value === "string" && value !== "" && value.isWellFormed(),
);

/** A finite number. */
export const finiteNumber = check<number>("a number", Number.isFinite);

/** A number, also one that is not finite. */
export const anyNumber = check<number>("a number", (value) => typeof value === "number");

/** True or false. */
export const flag = check<boolean>("true or false", (value) => typeof value === "boolean");

/** A whole number of at least 0. */
export const count = check<number>(
  "a whole number of at least 0",
  (value) => Number.isSafeInteger(value) && Number(value) >= 0,
);

/** Milliseconds since 1970 that a calendar can show. */
export const time = check<number>(
  "milliseconds since 1970",
  (value) => Number.isFinite(value) && Math.abs(Number(value)) <= 8.64e15,
);

/** One of some words. */
export function oneOf<Word extends string>(words: readonly Word[]): FieldCheck<Word> {
  return check(words.join(", "), (value) => words.some((word) => word === value));
}

/** What a check accepts, or null, or no such field. */
export function optionalField<Value>(
  { expected, accepts }: FieldCheck<Value>,
): FieldCheck<Value | null | undefined> {
  return check(`${expected} or null`, (value) => value === null || value === undefined || accepts(value));
}

/** What a check accepts, or null. */
export function orNull<Value>({ expected, accepts }: FieldCheck<Value>): FieldCheck<Value | null> {
  return check(`${expected} or null`, (value) => value === null || accepts(value));
}

/** What a check accepts, or no such field; null is none of them. */
export function ifGiven<Value>({ expected, accepts }: FieldCheck<Value>): FieldCheck<Value | undefined> {
  return check(expected, (value) => value === undefined || accepts(value));
}

/** A list. */
export function listOf<Value>({ expected, accepts }: FieldCheck<Value>): FieldCheck<readonly Value[]> {
  return check(`a list, each ${expected}`, (value) => Array.isArray(value) && value.every(accepts));
}

/** An object whose fields are all alike. */
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
    `an object with ${Object.keys(checks).join(", ")}`,
    (value) => isObject(value) && fieldProblem(value, checks) === undefined,
  );
}

/** The first field that is not what it must be, in words; undefined if all are. */
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

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function shown(value: unknown): string {
  if (value === undefined) return "missing";
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}
