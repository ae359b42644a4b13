import { parseArgs } from "node:util";
import { nearest } from "../../models/names.ts";
import { shownWord } from "../run/server_url.ts";
import { accepted, ConfigError, flagOf, type Rows, shownValue, type Values } from "./setting.ts";

/** A parsed command line: the values it gives, and whether it asks for help. */
export interface Flags<Table extends Rows> {
  readonly help: boolean;
  readonly values: Partial<Values<Table>>;
}

/** A parsed command line that has words, too, such as `show RUN --json`. */
export interface WordsAndFlags<Table extends Rows> extends Flags<Table> {
  /** In their order, wherever they stand among the flags. */
  readonly words: readonly string[];
}

/**
 * Parses a command line of flags, without filling in defaults.
 *
 * @param rows the settings that may be given, by name
 * @param argv the words after the script's name
 * @throws {ConfigError} for an unknown flag, a flag given twice, a missing or unacceptable value, a stray word
 */
export function parseFlags<Table extends Rows>(rows: Table, argv: readonly string[]): Flags<Table> {
  const { words: [stray], ...flags } = parseWords(rows, argv);
  if (stray !== undefined) throw notFlag(stray);
  return flags;
}

/** The same for a command line of words and flags. */
export function parseWords<Table extends Rows>(rows: Table, argv: readonly string[]): WordsAndFlags<Table> {
  const names = new Map<string, string>();
  for (const [name, { hint }] of Object.entries(rows)) {
    const flag = flagOf(name).slice(2);
    names.set(flag, name);
    if (hint === undefined) names.set(`no-${flag}`, name);
  }

  const words: string[] = [];
  const values = new Map<string, unknown>();
  const earlier = new Map<string, string>();
  let help = false;
  for (const token of tokenize(rows, names, argv)) {
    if (token.kind === "positional") {
      words.push(token.value);
      continue;
    }
    if (token.kind === "option-terminator") throw notFlag(argv[token.index]);
    if (token.name === "help" || token.name === "h") {
      help = true;
      continue;
    }
    const [word] = argv[token.index].split("=");
    const name = names.get(token.name);
    if (name === undefined) {
      const meant = nearest(word.replace(/^-+/, ""), [...names.keys(), "help"]);
      throw new ConfigError(`Unknown flag ${word} (${meant ? `did you mean --${meant}?` : "see --help"})`);
    }
    const given = token.value === undefined ? word : `${word} ${shownValue(rows[name], token.value)}`;
    const before = earlier.get(name);
    if (before !== undefined) {
      throw new ConfigError(`Cannot use ${given}: there is ${before} already (expected one)`);
    }
    earlier.set(name, given);
    values.set(name, valueOf(rows, name, token, given));
  }
  return { help, words, values: Object.fromEntries(values) as Partial<Values<Table>> };
}

function notFlag(word: string): ConfigError {
  return new ConfigError(
    `Cannot use ${JSON.stringify(shownWord(word))}: only flags are expected (see --help)`,
  );
}

function tokenize(rows: Rows, names: ReadonlyMap<string, string>, argv: readonly string[]) {
  const options = [...names].map(([flag, name]) => {
    return [flag, { type: rows[name].hint === undefined ? "boolean" as const : "string" as const }] as const;
  });
  return parseArgs({
    args: [...argv],
    options: { ...Object.fromEntries(options), help: { type: "boolean", short: "h" } },
    strict: false,
    tokens: true,
  }).tokens;
}

function valueOf(
  rows: Rows,
  name: string,
  token: { name: string; value?: string | undefined; inlineValue?: boolean | undefined },
  given: string,
): unknown {
  const setting = rows[name];
  const flag = flagOf(name);
  if (setting.hint === undefined) {
    if (token.value === undefined) return token.name === flag.slice(2);
    throw new ConfigError(
      `Cannot use ${given}: it takes no value (expected ${flag} or --no-${flag.slice(2)})`,
    );
  }
  if (token.value === undefined || (!token.inlineValue && token.value.startsWith("--"))) {
    throw new ConfigError(`Missing value of ${flag}: expected ${setting.expected}`);
  }
  return accepted(setting, setting.fromText(token.value), given);
}
