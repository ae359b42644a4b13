import { UserError } from "../../kernels/core/user_error.ts";
import { nearest } from "../../models/names.ts";
import type { FieldCheck } from "../run/field_checks.ts";
import { shownWord } from "../run/program_files.ts";

/** A flag, an environment variable or a field of `config.json` is invalid. */
export class ConfigError extends UserError {
  override readonly name = "ConfigError";
}

/**
 * A condition under which a setting has an effect: as text (such as `--resize`, or `no --out`) and as a check of all
 * settings.
 */
export interface Need {
  readonly words: string;
  readonly met: (config: Readonly<Record<string, unknown>>) => boolean;
  /** A value that turns the setting off, and so is allowed without the condition. */
  readonly off?: unknown;
}

/** What a setting means to `--help` and to other tasks; by default nothing. */
export interface Traits {
  /** Whether few people set it, so that only `--help all` shows it. */
  readonly rare?: boolean;
  /** Whether a resumed run may change it. */
  readonly resumable?: boolean;
  /** Whether losses of runs with other values cannot be compared. */
  readonly changesLoss?: boolean;
  /** Whether it is a flag of `deno task distill`. */
  readonly distilled?: boolean;
  /** What sets it in a study, if plans may not. */
  readonly setByStudy?: string;
}

/** One setting: what it means, how it is read from a command line, and which values it accepts. */
export interface Setting<Value> extends FieldCheck<Value>, Traits {
  /** Meaning and unit, one line of `--help`. */
  readonly doc: string;
  /** Placeholder for the value in `--help`, e.g. `N`; switches have none. */
  readonly hint?: string;
  /** The accepted words, if the setting is a choice. */
  readonly choices?: readonly string[];
  /** More lines of `--help`, below the first. */
  readonly details?: readonly string[];
  /** Default; a setting without one is required. */
  readonly default?: Value;
  /** What the setting needs to have an effect; by default nothing. */
  readonly needs?: Need;
  /** Whether its value is a list that grows when the flag is given again. */
  readonly isList?: boolean;
  /** The part of a value that errors may show; all of it if absent. */
  shown?(value: unknown): string;
  /** Parses the text of a flag, without checking the value; by default it is the value. */
  fromText?(text: string): unknown;
  /** Explains an invalid value where `expected` is not enough. */
  problem?(value: unknown): string | undefined;
}

/** Settings by their names in `config.json`. */
export type Rows = Readonly<Record<string, Setting<unknown>>>;

/** The values of a table of settings, by name. */
export type Values<Table extends Rows> = {
  readonly [Name in keyof Table]: Table[Name] extends Setting<infer Value> | undefined ? Value : never;
};

/** The flag of a setting: `--batch-size` for `batchSize`. */
export function flagOf(name: string): string {
  return "--" + name.replace(/[A-Z]/g, (letter) => "-" + letter.toLowerCase());
}

/**
 * Returns a value if the setting accepts it.
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

/** The value of a flag's text, not checked. */
export function valueOf({ fromText }: Pick<Setting<unknown>, "fromText">, text: string): unknown {
  return fromText ? fromText(text) : text;
}

/** A value as shown in errors, without credentials in addresses. */
export function shownValue(setting: Setting<unknown>, value: unknown): string {
  const plain = typeof value === "string" ? shownWord(value) : value;
  return JSON.stringify(setting.shown ? setting.shown(value) : plain);
}

/** A value from a file, as written on a command line. */
export function asText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value) ?? "";
}

/** ` (did you mean adamw?)`, or an empty text if no known name is similar. */
export function didYouMean(name: string, candidates: readonly string[]): string {
  const meant = nearest(name, candidates);
  return meant === undefined ? "" : ` (did you mean ${meant}?)`;
}
