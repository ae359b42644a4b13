import { imageSize } from "./shared.ts";
import { integer, interval, number, optional, path as pathTo, toggle } from "./kinds.ts";
import { ConfigError, flagOf, type Need, type Setting, type Values } from "./settings.ts";
import { network, presets, training } from "./training.ts";

const { filters, tEmb, attn, timeEmbedding, path, prediction, normalize } = training.rows;
const { needs: _, ...groups } = training.rows.groups;

/** `--checkpoint` of tasks that draw from FILE|RUN, in place of that word of the command line. */
export const checkpoint = optional(pathTo("FILE|RUN", "weights or a run, in place of the word FILE|RUN"));

/**
 * The weights or run that a command line names, by a word or `--checkpoint`.
 *
 * @throws {ConfigError} unless there is exactly one
 */
export function namedWeights(given: string | null | undefined, words: readonly string[]): string {
  const [name, other] = given ? [...words, given] : words;
  if (name === undefined) throw new ConfigError("Missing FILE|RUN: name the weights to use, or a run");
  if (other === undefined) return name;
  throw new ConfigError(`Cannot use ${other} with ${name} (expected one FILE or RUN)`);
}

/** Makes a setting optional, so that a flag can be told from its default, and states the default in `--help`. */
const orDefault = <Value>(setting: Setting<Value>) =>
  optional({ ...setting, doc: `${setting.doc} (default: ${setting.default})` });

/** Settings that describe a network whose file does not. */
export const describing = {
  model: optional({ ...network, doc: "the network, or the module of the checkpoint's custom network" }),
  filters: optional(filters),
  tEmb: optional(tEmb),
  attn: optional(attn),
  groups: orDefault(groups),
  timeEmbedding: orDefault(timeEmbedding),
  path: orDefault(path),
  prediction: orDefault(prediction),
  channels: optional(integer({ doc: "channels of the images (default: 1)", min: 1 })),
  classes: optional(integer({ doc: "number of classes (default: 0, none)", min: 1 })),
  imageSize: optional({ ...imageSize, doc: "height and width of the images (default: 28,28)" }),
  normalize: optional({ ...normalize, doc: `${normalize.doc} that the network was trained on` }),
} as const;

/** Heading of these settings in `--help`. */
export const describingHeading = "Network, for files without a description, such as a PyTorch state dict";

/** A user's description of a network; null for settings not given. */
export type NetworkFlags = Values<typeof describing>;

/** Default guidance, the same as in a run's own pictures. */
export const usualGuidance = presets.quick.guidance;

const ofClass: Need = { words: "a class", met: (config) => config.class !== "none" };
const ofGuidance = {
  words: "guidance (a class, and --guidance other than 1)",
  met: (config) => ofClass.met(config) && config.guidance !== 1,
  off: false,
} satisfies Need;

/** Settings of classifier-free guidance. */
export const guiding = {
  guidance: optional(number({
    doc: `classifier-free guidance, 1 = none (default: ${usualGuidance})`,
    min: 0,
    needs: ofClass,
  })),
  guidanceInterval: { ...interval("range of t with guidance (default: 0,1)"), needs: ofGuidance },
  cfgZero: toggle({ doc: "use CFG-Zero*", default: false, needs: ofGuidance }),
} as const;

/** Values of the guidance settings. */
export type GuidingConfig = Values<typeof guiding>;

/** The first guidance flag that is set, if any. */
export function givenGuidance({ guidance, guidanceInterval, cfgZero }: GuidingConfig): string | undefined {
  const given = { guidance, guidanceInterval, cfgZero: cfgZero || null };
  const name = Object.entries(given).find(([, value]) => value !== null)?.[0];
  return name && flagOf(name);
}
