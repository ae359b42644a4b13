import { type Flags, parseFlags, parseWords, type WordsAndFlags } from "./flags.ts";
import { helpText } from "./help.ts";
import { accepted, ConfigError, didYouMean, flagOf, type Rows, shownValue, type Values } from "./setting.ts";

/** A table of settings, and what reads them. */
export interface Settings<Table extends Rows> {
  /** The settings by name. */
  readonly rows: Table;
  /**
   * Parses a command line, without filling in defaults.
   *
   * @throws {ConfigError} for an unknown flag, a flag given twice, a missing or unacceptable value, a stray word
   */
  parse(argv: readonly string[]): Flags<Table>;
  /** Parses a command line that has words, too. */
  parseWords(argv: readonly string[]): WordsAndFlags<Table>;
  /**
   * Completes values by those of a preset, then by the table's defaults.
   *
   * @throws {ConfigError} if a required setting is missing
   */
  resolve(given: Partial<Values<Table>>, preset?: Partial<Values<Table>>): Values<Table>;
  /**
   * Reads values back from parsed JSON.
   *
   * @param source the file, for errors
   * @throws {ConfigError} for a field that is unknown, unacceptable, or missing and without default
   */
  read(json: unknown, source: string): Values<Table>;
  /** The text of `--help`, with the defaults that `resolve` would fill in. */
  help(usage: string, preset?: Partial<Values<Table>>): string;
}

/**
 * Defines settings that a command line or a file can give.
 *
 * @param rows the settings by name; the flag of `batchSize` is `--batch-size`
 * @param headings for `--help`: what to print above a setting, by its name
 */
export function defineSettings<const Table extends Rows>(
  rows: Table,
  headings: { readonly [Name in keyof Table]?: string } = {},
): Settings<Table> {
  return {
    rows,
    parse: (argv) => parseFlags(rows, argv),
    parseWords: (argv) => parseWords(rows, argv),
    resolve: (given, preset = {}) =>
      everyValue(rows, (name) => {
        const value = given[name] ?? preset[name] ?? rows[name].default;
        if (value !== undefined) return value;
        const { hint, doc } = rows[name];
        throw new ConfigError(`Missing ${flagOf(name)} ${hint}: ${doc}`);
      }),
    read(json, source) {
      const fields = fieldsOf(json, Object.keys(rows), source);
      return everyValue(rows, (name) => {
        if (!fields.has(name)) {
          // The file may be older than the setting; its default is what was done before it existed.
          if (rows[name].default !== undefined) return rows[name].default;
          throw new ConfigError(`Missing field ${name} in ${source}: expected ${rows[name].expected}`);
        }
        const field = fields.get(name);
        const value = rows[name].fromFile?.(field) ?? field;
        return accepted(rows[name], value, `${name} ${shownValue(rows[name], field)} in ${source}`);
      });
    },
    help: (usage, preset = {}) => helpText(usage, rows, { ...preset }, { ...headings }),
  };
}

function everyValue<Table extends Rows>(rows: Table, valueOf: (name: string) => unknown): Values<Table> {
  const values = Object.keys(rows).map((name) => [name, valueOf(name)]);
  return Object.fromEntries(values) as Values<Table>;
}

function fieldsOf(json: unknown, names: readonly string[], source: string): Map<string, unknown> {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new ConfigError(`Cannot read ${source}: expected an object with the fields ${names.join(", ")}`);
  }
  const fields = new Map<string, unknown>(Object.entries(json));
  const unknown = [...fields.keys()].find((name) => !names.includes(name));
  if (unknown === undefined) return fields;
  throw new ConfigError(`Unknown field ${unknown} in ${source}${didYouMean(unknown, names)}`);
}
