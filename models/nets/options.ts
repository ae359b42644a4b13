import { isCount } from "../../kernels/core/checks.ts";
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
  /** Whether there is attention at the innermost level. */
  readonly attn: boolean;
  /** Groups of every GroupNorm. */
  readonly groups: number;
  /** Number of classes; 0 for a network without labels. */
  readonly classes: number;
  /** Encoding of t. */
  readonly timeEmbedding: TimeEmbeddingName;
  /** Whether it also takes the length d of a step, and predicts the mean velocity from t to t + d: a flow map. */
  readonly flowMap: boolean;
  /**
   * Largest guidance that a flow map takes as an input, at least 1; 1 means no such input. With it, guidance costs no
   * second row of the network.
   */
  readonly maxGuidance: number;
  /** The path it is trained on. */
  readonly path: PathName;
  /** What the last layer predicts; it is converted to a velocity. */
  readonly prediction: PredictionName;
}

interface OptionRule {
  /** Its name in checkpoints. */
  readonly stored: string;
  /** Without a default, the option is required. */
  readonly default?: unknown;
  /** Whether checkpoints leave it out at its default. */
  readonly implied?: true;
  /** Allowed values, for messages. */
  readonly expected: string;
  readonly fits: (value: unknown) => boolean;
}

function count(stored: string, least: number, others: Partial<OptionRule> = {}): OptionRule {
  const fits = (value: unknown) => isCount(value, least);
  return { stored, expected: `a whole number of at least ${least}`, fits, ...others };
}

function toggle(stored: string, others: Partial<OptionRule> = {}): OptionRule {
  const fits = (value: unknown) => typeof value === "boolean";
  return { stored, default: false, expected: "true or false", fits, ...others };
}

/** An option with a fixed list of names; the first is the default. */
function choice(stored: string, names: readonly string[]): OptionRule {
  const fits = (value: unknown) => names.some((name) => name === value);
  return { stored, default: names[0], implied: true, expected: names.join(" or "), fits };
}

/** The options that all networks share. To add one, add a row here and a field to {@linkcode UNetOptions}. */
const rules: Readonly<Record<keyof UNetOptions, OptionRule>> = {
  filters: {
    stored: "filters",
    expected: "a list of whole numbers of at least 1",
    fits: (value) => Array.isArray(value) && value.length > 0 && value.every((width) => isCount(width, 1)),
  },
  tEmb: count("t_emb", 1),
  channels: count("channels", 1, { default: 1 }),
  attn: toggle("attn"),
  groups: count("groups", 1, { default: 8 }),
  classes: count("classes", 0, { default: 0, implied: true }),
  timeEmbedding: choice("time_embedding", timeEmbeddingNames),
  flowMap: toggle("flow_map", { implied: true }),
  maxGuidance: {
    stored: "max_guidance",
    default: 1,
    implied: true,
    expected: "a number of at least 1",
    fits: (value) => typeof value === "number" && Number.isFinite(value) && value >= 1,
  },
  path: choice("path", Object.keys(paths)),
  prediction: choice("prediction", Object.keys(predictions)),
};

const entries = Object.entries(rules) as (readonly [keyof UNetOptions, OptionRule])[];

/** Names of all options. */
export const optionNames: readonly string[] = ["type", ...Object.keys(rules)];

/** The options of all networks, also of your own. */
export type SharedOptions = Pick<UNetOptions, "classes" | "flowMap" | "path" | "prediction">;

/** Names of {@linkcode SharedOptions}. */
export const sharedOptionNames: readonly (keyof SharedOptions)[] = [
  "classes",
  "flowMap",
  "path",
  "prediction",
];

type GivenOptions = Readonly<Partial<Record<keyof UNetOptions, unknown>>>;

/** Fills in the defaults of options. @throws {TypeError} if one is invalid */
export function completeUNetOptions(options: GivenOptions): UNetOptions {
  return completed(options, entries) as UNetOptions;
}

/** Fills in the defaults of the options that all networks have. @throws {TypeError} if one is invalid */
export function completeShared(options: GivenOptions): SharedOptions {
  return completed(options, entries.filter(([name]) => sharedOptionNames.some((shared) => shared === name)));
}

function completed(options: GivenOptions, some: typeof entries): UNetOptions {
  const complete = some.map(([name, { default: byDefault, expected, fits }]) => {
    const value = options[name] === undefined ? byDefault : options[name];
    if (fits(value)) return [name, value];
    const shown = String(typeof value === "number" ? value : JSON.stringify(value));
    throw new TypeError(
      `Cannot make a network: ${name} is ${shown.length > 60 ? `${shown.slice(0, 60)}...` : shown} ` +
        `(expected ${expected})`,
    );
  });
  return Object.fromEntries(complete) as UNetOptions;
}

/** Options with their names in checkpoints. */
export function storedOptions(options: Partial<UNetOptions>): Record<string, unknown> {
  return Object.fromEntries(
    entries
      .filter(([name, rule]) => name in options && (!rule.implied || options[name] !== rule.default))
      .map(([name, { stored }]) => [stored, options[name]]),
  );
}

/** Options of a checkpoint with our names. Unknown fields keep theirs. */
export function readOptions(stored: object): Record<string, unknown> {
  const nameOf = new Map(entries.map(([name, { stored }]) => [stored, name as string]));
  return Object.fromEntries(Object.entries(stored).map(([name, value]) => [nameOf.get(name) ?? name, value]));
}
