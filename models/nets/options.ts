import { type PathName, paths } from "../flow/path.ts";
import { type PredictionName, predictions } from "../flow/prediction.ts";
import { type TimeEmbeddingName, timeEmbeddingNames } from "../nn/embeddings.ts";

/** Size of a U-Net. */
export interface UNetOptions {
  /** Channels of each level, outermost first. */
  readonly filters: readonly number[];
  /** Features of the time embedding. */
  readonly tEmb: number;
  /** Channels of the images. */
  readonly channels: number;
  /** Attention at the innermost level. */
  readonly attn: boolean;
  /** Groups of every GroupNorm. */
  readonly groups: number;
  /** Number of classes that a label can be; 0 for a network without labels. */
  readonly classes: number;
  /** What the network sees of t. */
  readonly timeEmbedding: TimeEmbeddingName;
  /** The path that it is for. */
  readonly path: PathName;
  /** What its last layer gives, which it turns into a velocity. */
  readonly prediction: PredictionName;
}

/** One option of the networks. */
interface OptionRule {
  /** Its name in checkpoints. */
  readonly stored: string;
  /** Its default; an option without one is required. */
  readonly default?: unknown;
  /** Whether checkpoints leave it out at its default, so that older programs can read them. */
  readonly implied?: true;
  /** What is wrong with a value and what is expected, if anything. */
  problem(name: string, value: unknown): string | undefined;
}

const count: OptionRule["problem"] = (name, value) =>
  Number.isInteger(value) && Number(value) > 0
    ? undefined
    : `${name} is ${shown(value)} (expected a positive integer)`;

function oneOf(names: readonly string[]): OptionRule["problem"] {
  return (name, value) =>
    names.some((known) => known === value)
      ? undefined
      : `${name} is ${shown(value)} (expected ${names.join(" or ")})`;
}

/** A value of any type, short. */
function shown(value: unknown): string {
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}

/** The options that all networks share. To add one, add a row here and a field to {@linkcode UNetOptions}. */
const rules = {
  filters: {
    stored: "filters",
    problem(name, value) {
      if (!Array.isArray(value) || value.length === 0) {
        return `${name} is ${shown(value)} (expected a list of at least one)`;
      }
      return value.map((width, i) => count(`${name}[${i}]`, width)).find((problem) => problem !== undefined);
    },
  },
  tEmb: { stored: "t_emb", problem: count },
  channels: { stored: "channels", default: 1, problem: count },
  attn: {
    stored: "attn",
    default: false,
    problem: (name, value) =>
      typeof value === "boolean" ? undefined : `${name} is ${shown(value)} (expected true or false)`,
  },
  groups: { stored: "groups", default: 8, problem: count },
  classes: {
    stored: "classes",
    default: 0,
    implied: true,
    problem: (name, value) =>
      Number.isInteger(value) && Number(value) >= 0
        ? undefined
        : `${name} is ${shown(value)} (expected an integer of at least 0)`,
  },
  timeEmbedding: {
    stored: "time_embedding",
    default: "scalar",
    implied: true,
    problem: oneOf(timeEmbeddingNames),
  },
  path: { stored: "path", default: "linear", implied: true, problem: oneOf(Object.keys(paths)) },
  prediction: {
    stored: "prediction",
    default: "velocity",
    implied: true,
    problem: oneOf(Object.keys(predictions)),
  },
} as const satisfies Record<keyof UNetOptions, OptionRule>;

/** Names of all options. */
export const optionNames: readonly string[] = ["type", ...Object.keys(rules)];

/** Options before they are checked. */
type GivenOptions = Readonly<Partial<Record<keyof UNetOptions, unknown>>>;

const entries: readonly (readonly [keyof UNetOptions, OptionRule])[] = Object.entries(rules) as [
  keyof UNetOptions,
  OptionRule,
][];

/**
 * Checks options and fills in the defaults.
 *
 * @throws {TypeError} if one is invalid
 */
export function completeUNetOptions(options: GivenOptions): UNetOptions {
  const complete = entries.map(([name, rule]) => {
    const value = options[name] === undefined ? rule.default : options[name];
    const problem = rule.problem(name, value);
    if (problem !== undefined) throw new TypeError(`Cannot make a network: ${problem}`);
    return [name, value];
  });
  return Object.fromEntries(complete) as UNetOptions;
}

/** Options under their names in checkpoints. */
export function storedOptions(options: UNetOptions): Record<string, unknown> {
  return Object.fromEntries(
    entries
      .filter(([name, rule]) => !rule.implied || options[name] !== rule.default)
      .map(([name, { stored }]) => [stored, options[name]]),
  );
}

/** Options of a checkpoint under our names. Unknown fields keep their names. */
export function readOptions(stored: object): Record<string, unknown> {
  const nameOf = new Map(entries.map(([name, { stored }]) => [stored, name as string]));
  return Object.fromEntries(Object.entries(stored).map(([name, value]) => [nameOf.get(name) ?? name, value]));
}
