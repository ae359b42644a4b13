/** Settings of the tasks that draw from weights: which ones, where to compute, and guidance. */

import { interval, number, optional, path as pathTo, toggle } from "../cli/kinds.ts";
import { ConfigError, flagOf, type Need, type Values } from "../cli/settings.ts";
import { presets } from "./presets.ts";
import { guidanceWithoutLabels, training } from "./training.ts";

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

/** Default guidance, the same as in a run's own pictures. */
export const usualGuidance = presets.quick.guidance;

const ofClass: Need = { words: "a class", met: (config) => config.class !== "none" };
const ofGuidance = {
  words: "guidance (a class, and --guidance other than 1)",
  met: (config) => ofClass.met(config) && config.guidance !== 1,
  off: false,
} satisfies Need;

/** Where to draw. */
export const where = { device: training.rows.device, threads: training.rows.threads } as const;

/** Settings of guidance. */
export const guiding = {
  guidance: {
    ...optional(number({
      doc: `classifier-free guidance, 1 = none (default: ${usualGuidance})`,
      min: 0,
      needs: ofClass,
    })),
    details: [
      `unlabelled networks: autoguidance by the run's early weights (default: ${guidanceWithoutLabels})`,
    ],
  },
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
