/** What a field of a JSON file must be: in words, and whether a value is that. */
export interface FieldCheck {
  readonly expected: string;
  readonly accepts: (value: unknown) => boolean;
}

const check = (expected: string, accepts: FieldCheck["accepts"]): FieldCheck => ({ expected, accepts });

/** A text. */
export const text = check("text", (value) => typeof value === "string");

/** A finite number. */
export const finiteNumber = check("a number", Number.isFinite);

/** A number, also one that is not finite. */
export const anyNumber = check("a number", (value) => typeof value === "number");

/** A whole number of at least 0. */
export const count = check(
  "a whole number of at least 0",
  (value) => Number.isSafeInteger(value) && Number(value) >= 0,
);

/** Milliseconds since 1970 that a calendar can show. */
export const time = check(
  "milliseconds since 1970",
  (value) => Number.isFinite(value) && Math.abs(Number(value)) <= 8.64e15,
);

/** One of some words. */
export function oneOf(words: readonly string[]): FieldCheck {
  return check(words.join(", "), (value) => words.some((word) => word === value));
}

/** What a check accepts, or null, or no such field. */
export function optional({ expected, accepts }: FieldCheck): FieldCheck {
  return check(`${expected} or null`, (value) => value === null || value === undefined || accepts(value));
}

/** What a check accepts, or no such field; null is none of them. */
export function ifGiven({ expected, accepts }: FieldCheck): FieldCheck {
  return check(expected, (value) => value === undefined || accepts(value));
}

/** A list. */
export function listOf({ expected, accepts }: FieldCheck): FieldCheck {
  return check(`a list, each ${expected}`, (value) => Array.isArray(value) && value.every(accepts));
}

/** An object whose fields are all alike. */
export function tableOf({ expected, accepts }: FieldCheck): FieldCheck {
  return check(
    `an object, each field ${expected}`,
    (value) => isObject(value) && Object.values(value).every(accepts),
  );
}

/** An object with these fields. */
export function fieldsOf(checks: Readonly<Record<string, FieldCheck>>): FieldCheck {
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
