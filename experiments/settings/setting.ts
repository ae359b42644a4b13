import { UserError } from "../../kernels/core/user_error.ts";
import { nearest } from "../../models/names.ts";
import { shownWord } from "../run/server_url.ts";

/** A flag, an environment variable or a field of `config.json` is invalid. */
export class ConfigError extends UserError {
  override readonly name = "ConfigError";
}

/** One setting: what it means, how it is read from a command line, and which values it accepts. */
export interface Setting<Value> {
  /** Meaning and unit, one line of `--help`. */
  readonly doc: string;
  /** Placeholder for the value in `--help`, e.g. `N`; switches have none. */
  readonly hint?: string;
  /** Ends the sentence "expected ..." in errors. */
  readonly expected: string;
  /** The accepted words, if only these are accepted. */
  readonly choices?: readonly string[];
  /** More lines of `--help`, below the first. */
  readonly details?: readonly string[];
  /** Value if none is given; a setting without one is required. */
  readonly default?: Value;
  /** The part of a value that an error may show; without it, all of it. */
  shown?(value: unknown): string;
  /** Parses the text of a flag; the result may still be refused. */
  fromText(text: string): unknown;
  /** Whether a value is valid. */
  accepts(value: unknown): value is Value;
  /** Explains an invalid value where `expected` is not enough. */
  problem?(value: unknown): string | undefined;
}

/** A table of settings by their names in `config.json`. */
export type Rows = Readonly<Record<string, Setting<unknown>>>;

/** The values of a table of settings, by name. */
export type Values<Table extends Rows> = {
  readonly [Name in keyof Table]: Table[Name] extends Setting<infer Value> ? Value : never;
};

/** The flag of a setting: `batchSize` is given by `--batch-size`. */
export function flagOf(name: string): string {
  return "--" + name.replace(/[A-Z]/g, (letter) => "-" + letter.toLowerCase());
}

/**
 * Returns a value that the setting accepts.
 *
 * @param where the flag or field with its value as given, for the error
 * @throws {ConfigError} if the setting does not accept the value
 */
export function accepted<Value>(setting: Setting<Value>, value: unknown, where: string): Value {
  if (setting.accepts(value)) return value;
  const problem = setting.problem?.(value) ??
    `expected ${setting.expected}${didYouMean(asText(value), setting.choices ?? [])}`;
  throw new ConfigError(`Cannot use ${where}: ${problem}`);
}

/** A value as errors show it, without credentials that an address may hold. */
export function shownValue(setting: Setting<unknown>, value: unknown): string {
  const plain = typeof value === "string" ? shownWord(value) : value;
  return JSON.stringify(setting.shown ? setting.shown(value) : plain);
}

/** A value of a file as it would be given on a command line. */
export function asText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value) ?? "";
}

/** ` (did you mean adamw?)`, or nothing if no known name is near. */
export function didYouMean(name: string, known: readonly string[]): string {
  const meant = nearest(name, known);
  return meant === undefined ? "" : ` (did you mean ${meant}?)`;
}
