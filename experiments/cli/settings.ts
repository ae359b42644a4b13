import { parseArgs } from "node:util";
import { UserError } from "../../kernels/core/checks.ts";
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
  /** What sets it in a study, if plans may not. */
  readonly setByStudy?: string;
}

/**
 * One setting: what it means, how it is read from a command line, and which values it accepts.
 *
 * A value is written in one way, on command lines, in `config.json` and in plans, and checked as it is written: a solver
 * is the text `heun:steps=20` there. The program has what it means, which `read` makes.
 */
export interface Setting<Value, Written = Value> extends FieldCheck<Written>, Traits {
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
  /** The written value in the text of a flag, not checked; by default the text. */
  fromText?(text: string): unknown;
  /** The meaning of a written value that it accepts; by default the written value itself. */
  read?(written: Written): Value;
  /** The inverse of `read`. */
  write?(value: Value): Written;
  /** Explains an invalid value where `expected` is not enough. */
  problem?(value: unknown): string | undefined;
}

/** Settings by their names in `config.json`. */
export type Rows = Readonly<Record<string, Setting<unknown>>>;

/** The values of a table of settings, by name. */
export type Values<Table extends Rows> = {
  readonly [Name in keyof Table]: Table[Name] extends Setting<infer Value, infer _> ? Value : never;
};

/** The same values as they are written. */
export type WrittenValues<Table extends Rows> = {
  readonly [Name in keyof Table]: Table[Name] extends Setting<infer _, infer Written> ? Written : never;
};

/** The flag of a setting: `--batch-size` for `batchSize`. */
export function flagOf(name: string): string {
  return "--" + name.replace(/[A-Z]/g, (letter) => "-" + letter.toLowerCase());
}

/**
 * Returns the value that a setting reads from a written one.
 *
 * @param where the flag or field with its value as given, for the error
 * @throws {ConfigError} if the setting does not accept the value
 */
export function accepted<Value, Written>(
  setting: Setting<Value, Written>,
  value: unknown,
  where: string,
): Value {
  if (setting.accepts(value)) return readBy(setting, value);
  const problem = setting.problem?.(value) ??
    `expected ${setting.expected}${didYouMean(asText(value), setting.choices ?? [])}`;
  throw new ConfigError(`Cannot use ${where}: ${problem}`);
}

/** The value that a setting reads from a written one, which it accepts. */
function readBy<Value, Written>(setting: Setting<Value, Written>, written: Written): Value {
  return setting.read ? setting.read(written) : written as unknown as Value; // without `read` they are one type
}

/** A value as its setting writes it. */
export function written<Value, Written>(setting: Setting<Value, Written>, value: Value): Written {
  return setting.write ? setting.write(value) : value as unknown as Written; // without `write` they are one type
}

/** The written value of a flag's text, not checked. */
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

/** Settings that a command line or a file can give. */
export class Settings<Table extends Rows> {
  constructor(readonly rows: Table, readonly headings: Readonly<Record<string, string | undefined>>) {}

  /**
   * Parses a command line, without filling in defaults.
   *
   * @param argv the words after the script's name
   * @param takesWords whether words besides flags are allowed, such as `show RUN --json`
   * @throws {ConfigError} for an unknown flag, a flag given twice, a missing or unacceptable value, a stray word
   */
  parse(argv: readonly string[], takesWords = false): Flags<Table> {
    const flags = parseFlags(this.rows, argv);
    if (flags.words.length > 0 && !takesWords) throw notFlag(flags.words[0], argv);
    return flags;
  }

  /**
   * Completes values with those of a preset, then with the table's defaults.
   *
   * @throws {ConfigError} if a required setting is missing, or a given one has no effect
   */
  resolve(values: Partial<Values<Table>>, preset: Partial<Values<Table>> = {}): Values<Table> {
    const config = everyValue(this.rows, (name) => {
      const value = values[name] ?? preset[name] ?? this.rows[name].default;
      if (value !== undefined) return value;
      const { hint, doc } = this.rows[name];
      throw new ConfigError(`Missing ${flagOf(name)} ${hint}: ${doc}`);
    });
    for (const idle of this.idle(values, config)) {
      const { words } = this.rows[idle].needs!;
      const where = words.startsWith("no ") ? `with ${words.slice(3)}` : `without ${words}`;
      throw new ConfigError(`${flagOf(idle)} has no effect ${where}; remove it`);
    }
    return config;
  }

  /** The given settings that have no effect in a configuration. */
  idle(values: Partial<Values<Table>>, config: Readonly<Record<string, unknown>>): string[] {
    return Object.entries(values).flatMap(([name, value]) => {
      const needs = this.rows[name]?.needs;
      return !needs || value == null || value === needs.off || needs.met(config) ? [] : [name];
    });
  }

  /**
   * Reads values from parsed JSON; a setting that an older file lacks gets its default.
   *
   * @param source the file, for errors
   * @throws {ConfigError} for an unknown field, an invalid one, or a missing one without a default
   */
  read(json: unknown, source: string): Values<Table> {
    const fields = fieldsOf(json, Object.keys(this.rows), source);
    return everyValue(this.rows, (name) => {
      const row = this.rows[name];
      if (fields.has(name)) {
        return accepted(row, fields.get(name), `${name} ${shownValue(row, fields.get(name))} in ${source}`);
      }
      if (row.default !== undefined) return row.default;
      throw new ConfigError(`Missing field ${name} in ${source}: expected ${row.expected}`);
    });
  }

  /** Values as they are written; the inverse of {@linkcode read}. */
  write(values: Partial<Values<Table>>): Partial<WrittenValues<Table>> {
    const names = Object.keys(this.rows).filter((name) => values[name] !== undefined);
    const all = names.map((name) => [name, written(this.rows[name], values[name])]);
    return Object.fromEntries(all) as Partial<WrittenValues<Table>>;
  }

  /** Reads the fields of parsed JSON that are settings with valid values, as files of other programs may have some. */
  readSome(fields: Readonly<Record<string, unknown>>): Partial<Values<Table>> {
    const valid = Object.keys(this.rows).filter((name) => this.rows[name].accepts(fields[name]));
    const all = valid.map((name) => [name, readBy(this.rows[name], fields[name])]);
    return Object.fromEntries(all) as Partial<Values<Table>>;
  }

  /**
   * The text of `--help`: a line for every setting that is not rare, with the default that `resolve` would fill in.
   *
   * @param usage the command, e.g. `deno task train`
   * @param about what the command does
   * @param all whether to show rare settings, too: `--help all`
   * @param examples whole commands
   */
  help(
    usage: string,
    about: string,
    preset: Partial<Values<Table>> = {},
    all = false,
    examples: readonly string[] = [],
  ): string {
    const lines: string[] = [];
    let heading: string | undefined; // of the next setting that is shown
    for (const [name, setting] of Object.entries(this.rows)) {
      heading = this.headings[name] ?? heading;
      if (setting.rare && !all) continue;
      if (heading) lines.push("", heading);
      heading = undefined;
      const flag = flagOf(name);
      const left = setting.hint === undefined
        ? `${flag}, ${flag.replace("--", "--no-")}`
        : `${flag} ${setting.hint}`;
      lines.push(
        ...columns(left, [
          ...setting.doc.split(" "),
          ...remark(shown(setting, preset[name] ?? setting.default)),
        ]),
      );
      for (const line of setting.details ?? []) lines.push(...wrapped(line.split(" "), column, column + 2));
    }
    const start = [
      ...wrapped(`Usage: ${usage} [flags]`.split(" "), 0, 2),
      ...wrapped(about.split(" "), 0, 0),
      ...(examples.length > 0 ? ["", "Examples", ...examples.map((example) => `  ${example}`)] : []),
    ];
    const rare = all ? 0 : Object.values(this.rows).filter(({ rare }) => rare).length;
    const more = rare === 0 ? [] : columns("--help all", [`show ${rare} more flag${rare > 1 ? "s" : ""}`]);
    return [
      ...start,
      ...(lines[0] === "" ? [] : [""]),
      ...lines,
      "",
      ...columns("-h, --help", ["print this text"]),
      ...more,
    ].join("\n");
  }
}

/** Defines settings by name, and the headings of `--help` by the name of the setting that they precede. */
export function defineSettings<const Table extends Rows>(
  rows: Table,
  headings: { readonly [Name in keyof Table]?: string } = {},
): Settings<Table> {
  return new Settings(rows, { ...headings });
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

/** A parsed command line. */
export interface Flags<Table extends Rows> {
  /** Whether `--help` is given, and whether for all flags. */
  readonly help: false | "usual" | "all";
  /** The words besides flags, in order. */
  readonly words: readonly string[];
  /** The given values. */
  readonly values: Partial<Values<Table>>;
}

function parseFlags<Table extends Rows>(rows: Table, argv: readonly string[]): Flags<Table> {
  const names = new Map(
    Object.entries(rows).flatMap(([name, { hint }]) => {
      const flag = flagOf(name).slice(2);
      return [flag, ...hint === undefined ? [`no-${flag}`] : []].map((flag) => [flag, name]);
    }),
  );
  const types = Array.from(names, ([flag, name]) => {
    return [flag, { type: rows[name].hint === undefined ? "boolean" as const : "string" as const }] as const;
  });
  const options = { ...Object.fromEntries(types), help: { type: "boolean" as const, short: "h" } };
  const words: string[] = [];
  const values = new Map<string, unknown>(); // as they are written
  let help: Flags<Table>["help"] = false;
  for (const token of parseArgs({ args: [...argv], options, strict: false, tokens: true }).tokens) {
    if (token.kind === "positional") {
      if (token.value === "all" && /^(-h|--help)$/.test(argv[token.index - 1])) help = "all";
      else words.push(token.value);
      continue;
    }
    if (token.kind === "option-terminator") throw notFlag(argv[token.index], argv);
    if (token.name === "help" || token.name === "h") {
      help = token.value === "all" ? "all" : "usual";
      continue;
    }
    const [word] = argv[token.index].split("=");
    const name = names.get(token.name);
    if (name === undefined) {
      const typed = word.replace(/^-+/, "");
      const meant = nearest(typed, [...names.keys(), "help"]) ?? flagAbout(rows, typed);
      throw new ConfigError(`Unknown flag ${word} (${meant ? `did you mean --${meant}?` : "see --help"})`);
    }
    const where = token.value === undefined ? word : `${word} ${shownValue(rows[name], token.value)}`;
    const earlier = values.get(name);
    if (earlier !== undefined && !rows[name].isList) throw new ConfigError(`${flagOf(name)} was given twice`);
    const value = flagValue(rows, name, token, where);
    const all = earlier === undefined ? value : [...earlier as unknown[], ...value as unknown[]];
    accepted(rows[name], all, where);
    values.set(name, all);
  }
  const read = Array.from(values, ([name, value]) => [name, readBy(rows[name], value)]);
  return { help, words, values: Object.fromEntries(read) as Partial<Values<Table>> };
}

/** The flag whose meaning, up to its first `;`, ends with the typed words: `lr` for `learning-rate`. */
function flagAbout(rows: Rows, typed: string): string | undefined {
  const words = ` ${typed.replaceAll("-", " ")}`;
  const meanings = Object.entries(rows).map(([name, { doc }]) => [name, ` ${doc.split(";")[0]}`]);
  const meant = typed.length > 3 && meanings.find(([, meaning]) => meaning.endsWith(words))?.[0];
  return meant ? flagOf(meant).slice(2) : undefined;
}

function notFlag(word: string, argv: readonly string[]): ConfigError {
  const shown = JSON.stringify(shownWord(word));
  const place = argv.findIndex((flag, i) => flag.startsWith("--") && argv[i + 2] === word);
  const [flag, value] = argv.slice(place);
  const isList = place >= 0 && /^[\d,]+$/.test(`${value}${word}`);
  const hint = isList ? `numbers of a list have commas between them: ${flag} ${value},${word}` : "see --help";
  return new ConfigError(`Cannot use ${shown}: only flags are expected (${hint})`);
}

/** The written value of a flag, not checked. */
function flagValue(
  rows: Rows,
  name: string,
  token: { name: string; value?: string | undefined; inlineValue?: boolean | undefined },
  where: string,
): unknown {
  const setting = rows[name];
  const flag = flagOf(name);
  if (setting.hint === undefined) {
    if (token.value === undefined) return `--${token.name}` === flag;
    const both = `${flag} or ${flag.replace("--", "--no-")}`;
    throw new ConfigError(`Cannot use ${where}: it takes no value (expected ${both})`);
  }
  if (token.value === undefined || (!token.inlineValue && token.value.startsWith("--"))) {
    throw new ConfigError(`Missing value of ${flag}: expected ${setting.expected}`);
  }
  return valueOf(setting, token.value);
}

/** Width of `--help`. */
const width = 80;
/** Where its right column begins. */
const column = 26;

function columns(left: string, right: readonly string[]): string[] {
  const [first, ...rest] = wrapped(right, column, column);
  if (left.length + 2 > column - 2) return [...wrapped(left.split(" "), 2, 4), first, ...rest];
  return [`  ${left}`.padEnd(column) + first.slice(column), ...rest];
}

/** Lines that fit, broken between words: the first begins at `first`, the others at `others`. */
function wrapped(words: readonly string[], first: number, next: number): string[] {
  const lines: string[] = [];
  for (const word of words) {
    const longer = `${lines.at(-1)} ${word}`;
    if (lines.length > 0 && longer.length <= width) lines[lines.length - 1] = longer;
    else lines.push(" ".repeat(lines.length > 0 ? next : first) + word);
  }
  return lines;
}

/** A default as it is written, if there is one. */
function shown(setting: Setting<unknown>, value: unknown): unknown {
  return value == null ? value : written(setting, value);
}

/** `(default: ...)`, or `(required)` without one. */
function remark(value: unknown): string[] {
  if (value === null) return [];
  if (value === undefined) return ["(required)"];
  if (typeof value === "boolean") return [`(default: ${value ? "on" : "off"})`];
  return [`(default: ${value})`];
}
