import { type Tensor, tensor, withDevice, zeros } from "../../kernels/mod.ts";
import { describeValue, isCount, refuse } from "../../kernels/core/checks.ts";
import { meanVelocityOf, type VelocityField, velocityOf } from "../flow/field.ts";
import { type PredictionName, predictions } from "../flow/objective.ts";
import { type PathName, paths } from "../flow/path.ts";
import { rejectUnknown } from "../names.ts";
import { type TimeEmbeddingName, timeEmbeddingNames } from "../nn/embeddings.ts";
import { type Initialiser, withInitialiser } from "../nn/initialiser.ts";
import { Module } from "../nn/module.ts";

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

/** Fills in the defaults of options. */
export function completeUNetOptions(options: GivenOptions): UNetOptions {
  return completed(options, entries) as UNetOptions;
}

/** Fills in the defaults of the options that all networks have. */
export function completeShared(options: GivenOptions): SharedOptions {
  return completed(options, entries.filter(([name]) => sharedOptionNames.some((shared) => shared === name)));
}

function completed(options: GivenOptions, some: typeof entries): UNetOptions {
  const complete = some.map(([name, { default: byDefault, expected, fits }]) => {
    const value = options[name] === undefined ? byDefault : options[name];
    if (fits(value)) return [name, value];
    const text = String(typeof value === "number" ? value : JSON.stringify(value));
    const shown = text.length > 60 ? `${text.slice(0, 60)}...` : text;
    refuse(TypeError, `make a network: ${name} is ${shown}`, expected);
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

/** A value of an option of a network of your own. */
export type OptionValue = number | boolean | string | readonly number[];

/** The class of a network of your own, or a function that makes it, from its options and {@linkcode OwnImages}. */
export type NetworkMaker =
  | (new (options: never) => Module & VelocityField)
  | ((options: never) => Module & VelocityField);

/** Settings that every network of your own gets besides its options. */
export interface OwnImages {
  /** Channels, height and width of the images. */
  readonly shape: readonly [C: number, H: number, W: number];
  /** Number of classes; 0 for a network without labels. The label that means "none" is `classes`. */
  readonly classes: number;
  /** Whether it is a flow map, with the method `meanVelocity(x, t, d, labels)`; see {@linkcode VelocityField}. */
  readonly flowMap: boolean;
}

/** Options that only U-Nets have, so that programs may look for them in any settings. */
export type NoUNetOptions = {
  readonly [Name in Exclude<keyof UNetOptions, keyof SharedOptions>]?: undefined;
};

/** Settings of a network of your own. By default there are no options, and images of 1 x 28 x 28 without classes. */
export interface OwnModelOptions extends NoUNetOptions, Partial<SharedOptions & OwnImages> {
  /** The type of all networks that are not the library's. */
  readonly type: "own";
  /** Its name in checkpoints and messages. */
  readonly name: string;
  /** Its class, or a function that makes it. A checkpoint does not hold it. */
  readonly make?: NetworkMaker | undefined;
  /** SHA-256 of its module in hex, to recognise it. */
  readonly digest?: string | undefined;
  /** Its own options, by name. */
  readonly options?: Readonly<Record<string, OptionValue>>;
}

/** Settings of a network of your own with all defaults. */
export type CompleteOwnOptions =
  & NoUNetOptions
  & Required<Pick<OwnModelOptions, "type" | "name" | "options" | keyof SharedOptions | keyof OwnImages>>
  & Pick<OwnModelOptions, "make" | "digest">;

/** Whether a value is allowed for an option. */
function isOptionValue(value: unknown): value is OptionValue {
  return typeof value === "boolean" || typeof value === "string" || Number.isFinite(value) ||
    Array.isArray(value) && value.every(Number.isFinite);
}

const names = ["type", "name", "make", "digest", "options", "shape", ...sharedOptionNames];

/** Fills in the defaults of settings. */
export function completeOwnOptions(settings: OwnModelOptions): CompleteOwnOptions {
  rejectUnknown(settings, names, "a network of your own");
  const { type, name, make, digest, options = {}, shape = [1, 28, 28], ...shared } = settings;
  const check = (what: string, value: unknown, fits: boolean, expected: string) => {
    if (!fits) refuse(TypeError, `make a network: ${what} is ${describeValue(value)}`, expected);
  };
  const isImage = Array.isArray(shape) && shape.length === 3 && shape.every((length) => isCount(length, 1));
  check("name", name, typeof name === "string" && /^\P{Cc}+$/u.test(name), "a line of text");
  check(
    "make",
    make,
    !make || typeof make === "function",
    "the class of a network, or a function that makes it",
  );
  check("digest", digest, digest === undefined || /^[0-9a-f]{64}$/.test(digest), "64 hex digits");
  check("options", options, typeof options === "object" && options !== null, "an object");
  check("shape", shape, isImage, "[C, H, W] of an image");
  for (const [option, value] of Object.entries(options)) {
    const expected = "a number, true or false, text or a list of numbers";
    check(`the option ${option}`, value, isOptionValue(value), expected);
  }
  return { type, name, make, digest, options, shape, ...completeShared(shared) };
}

/**
 * Makes a network of your own, and from then on checks what its `velocity` returns. It is always given labels if it has
 * classes: "none" if the caller passes no condition. The velocity of a flow map is its mean velocity for d = 0.
 */
export function makeOwn(
  { name, make, options, shape, classes, flowMap }: CompleteOwnOptions,
  initialiser: Initialiser,
): Module & VelocityField {
  const fail = (why: string, expected: string) =>
    refuse(TypeError, `make the network ${name}: ${why}`, expected);
  if (!make) return fail("it is not one of the library's", "its class or function as `make`");
  const argument = { ...options, shape, classes, flowMap };
  const made: unknown = withInitialiser(
    initialiser,
    // A function that returns an object does so after `new`, too; an arrow function has no prototype.
    () =>
      make.prototype
        ? Reflect.construct(make, [argument])
        : (make as (options: unknown) => unknown)(argument),
  );
  if (made instanceof Promise) fail("its function returned a promise", "a network; await before the export");
  const network = made as Module & VelocityField;
  if (!(made instanceof Module) || typeof network.velocity !== "function") {
    const what = made instanceof Module ? "a Module without velocity()" : describeValue(made);
    fail(`it made ${what}`, "a Module of this library with velocity(x, t)");
  }
  const { velocity, meanVelocity } = network;
  if (flowMap && typeof meanVelocity !== "function") {
    fail(
      "it has no method meanVelocity(x, t, d, labels), the mean velocity from t to t + d",
      "one as in docs/own_networks.md",
    );
  }
  const field = { velocity: velocity.bind(network), meanVelocity: meanVelocity?.bind(network) };
  const allNone = (x: Tensor) =>
    withDevice(x.device, () => tensor(new Uint32Array(x.shape[0]).fill(classes), [x.shape[0]]));
  const orNone = (x: Tensor, condition?: Tensor) => condition ?? (classes > 0 ? allNone(x) : undefined);
  let isInside = false; // a mean velocity may be made of the network's own velocity
  const mean = (x: Tensor, t: Tensor, d: Tensor, condition?: Tensor) => {
    isInside = true;
    try {
      return meanVelocityOf(field, x, t, d, orNone(x, condition));
    } finally {
      isInside = false;
    }
  };
  const value = (...given: Parameters<typeof velocity>) => {
    const [x, t, condition] = given;
    if (isInside) return field.velocity(...given);
    if (flowMap) return mean(x, t, withDevice(x.device, () => zeros(t.shape)), condition);
    return velocityOf(field, x, t, orNone(x, condition));
  };
  return Object.defineProperties(network, {
    velocity: { value, configurable: true },
    meanVelocity: { value: flowMap ? mean : undefined },
  });
}
