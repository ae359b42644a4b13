import { weightsFile } from "../run/layout.ts";
import { ConfigError } from "../settings/setting.ts";
import type { Classes } from "../settings/kinds.ts";
import { givenGuidance, type GuidingConfig, usualGuidance } from "../settings/drawing.ts";
import type { SampleConfig } from "../sample.ts";
import {
  type Autoguidance,
  autoguidanceInWords,
  type Conditioning,
  type Guidance,
  guidanceInWords,
  roundToRows,
  runsTwice,
} from "./conditioning.ts";

/** The images that a command line requests. */
export interface RequestedImages {
  readonly count: number;
  /** Of a grid; 0 for one that is nearly square. */
  readonly columns: number;
  readonly conditioning?: Conditioning;
  /** Whether each evaluation runs two networks. */
  readonly guided: boolean;
  /** Follows `64 samples`. */
  readonly words: string;
}

/**
 * The images that a command line requests of a network.
 *
 * @param network its number of classes, 0 without, its autoguidance if there is any, and the name of its file
 * @throws {ConfigError} if the network lacks a class, or cannot be guided
 */
export function requestedImages(
  config: SampleConfig,
  { classes, autoguidance, source }: {
    readonly classes: number;
    readonly autoguidance: Autoguidance | undefined;
    readonly source: string;
  },
): RequestedImages {
  const { count, columns, class: choice } = config;
  if (classes === 0) {
    checkNoClass({ ...config, guidance: null }, source);
    if (config.guidance !== null && !autoguidance) {
      throw new ConfigError(
        `Cannot use --guidance with ${source}: its network was trained without classes, and there is no ` +
          `${
            weightsFile("early")
          } to guide it away from (expected the folder of a run that has one, or leave it out)`,
      );
    }
    const { scale = 1 } = autoguidance ?? {};
    const words = autoguidance ? `, ${autoguidanceInWords(scale)}` : "";
    return { count, columns, guided: scale !== 1, words };
  }
  if (choice === "none") return { count, columns, guided: false, words: " without a class" };
  const chosen = chosenClasses(choice ?? "all", classes, source);
  const N = config.inFullRows ? roundToRows(count, chosen.length) : count;
  const guidance = guidanceOf(config);
  const which = chosen.length === classes ? `all ${classes} classes` : `class ${chosen.join(", ")}`;
  return {
    count: N,
    columns: columns || (chosen.length > 1 ? chosen.length : 0),
    conditioning: { labels: Uint32Array.from({ length: N }, (_, i) => chosen[i % chosen.length]), guidance },
    guided: runsTwice(guidance),
    words: ` of ${which}, ${guidanceInWords(guidance)}`,
  };
}

/**
 * The numbers of the chosen classes.
 *
 * @param classes of the network, at least 1
 * @param source name of its file, for errors
 * @throws {ConfigError} if the network lacks one of them
 */
export function chosenClasses(choice: Classes, classes: number, source: string): readonly number[] {
  if (choice === "all") return Array.from({ length: classes }, (_, c) => c);
  const unknown = choice.find((label) => label >= classes);
  if (unknown === undefined) return choice;
  throw new ConfigError(
    `Cannot draw class ${unknown} from ${source}: it has the classes 0 to ${classes - 1}`,
  );
}

/** How a command line guides a network with classes. */
export function guidanceOf({ guidance, guidanceInterval: interval, cfgZero }: GuidingConfig): Guidance {
  return { scale: guidance ?? usualGuidance, ...interval && { interval }, ...cfgZero && { zeroStar: true } };
}

/**
 * Refuses flags that need a network with classes.
 *
 * @param source name of the network's file, for errors
 * @throws {ConfigError} if a class or guidance is given
 */
export function checkNoClass(config: GuidingConfig & { readonly class: unknown }, source: string): void {
  const given = config.class !== null ? "--class" : givenGuidance(config);
  if (given === undefined) return;
  throw new ConfigError(
    `Cannot use ${given} with ${source}: its network was trained without classes (leave it out)`,
  );
}
