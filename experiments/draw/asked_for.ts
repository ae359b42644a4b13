import { weightsFile } from "../run/layout.ts";
import { ConfigError } from "../settings/setting.ts";
import type { Classes } from "../settings/tasks/classes.ts";
import { givenGuidance, type GuidingConfig, usualGuidance } from "../settings/tasks/guiding.ts";
import type { SampleConfig } from "../settings/tasks/sample.ts";
import { autoguidanceInWords, type Weaker } from "./weaker.ts";
import { type Asked, type Guidance, guidanceInWords, inFullRows, runsTwice } from "./asked.ts";

/** The images that a command line asks for. */
export interface AskedFor {
  readonly count: number;
  /** Of a grid; 0 for one that is nearly square. */
  readonly columns: number;
  /** The classes, if any. */
  readonly asked?: Asked;
  /** Whether each evaluation runs the network with and without the class. */
  readonly guided: boolean;
  /** Ends `64 samples`. */
  readonly words: string;
}

/** What is known of a network that images are asked of. */
interface AskedNetwork {
  /** 0 without. */
  readonly classes: number;
  /** What it may be guided away from. */
  readonly weaker: Weaker | undefined;
  /** Name of its file, for errors. */
  readonly source: string;
}

/**
 * The images that a command line asks of a network.
 *
 * @throws {ConfigError} if the network does not have a class, or has none to guide by
 */
export function askedFor(config: SampleConfig, { classes, weaker, source }: AskedNetwork): AskedFor {
  const { count, columns, class: choice } = config;
  if (classes === 0) {
    checkNoClass({ ...config, guidance: null }, source);
    if (config.guidance !== null && !weaker) {
      throw new ConfigError(
        `Cannot use --guidance with ${source}: its network was trained without classes, and there is no ` +
          `${
            weightsFile("early")
          } to guide it away from (expected the folder of a run that has one, or leave it out)`,
      );
    }
    const words = weaker ? `, ${autoguidanceInWords(weaker.scale)}` : "";
    return { count, columns, guided: weaker !== undefined && weaker.scale !== 1, words };
  }
  if (choice === "none") return { count, columns, guided: false, words: " without a class" };
  const chosen = chosenClasses(choice ?? "all", classes, source);
  const N = config.inFullRows ? inFullRows(count, chosen.length) : count;
  const asked: Asked = {
    labels: Uint32Array.from({ length: N }, (_, i) => chosen[i % chosen.length]),
    guidance: guidanceOf(config),
  };
  const which = chosen.length === classes ? `all ${classes} classes` : `class ${chosen.join(", ")}`;
  return {
    count: N,
    columns: columns || (chosen.length > 1 ? chosen.length : 0),
    asked,
    guided: runsTwice(asked.guidance),
    words: ` of ${which}, ${guidanceInWords(asked.guidance)}`,
  };
}

/**
 * The classes that are chosen of a network.
 *
 * @param classes of the network, at least 1
 * @param source name of its file, for errors
 * @throws {ConfigError} if it does not have one of them
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
 * Checks that nothing is asked of a network without classes that only one with classes can do.
 *
 * @param source name of its file, for errors
 * @throws {ConfigError} if a class or guidance is given
 */
export function checkNoClass(config: GuidingConfig & { readonly class: unknown }, source: string): void {
  const given = config.class !== null ? "--class" : givenGuidance(config);
  if (given === undefined) return;
  throw new ConfigError(
    `Cannot use ${given} with ${source}: its network was trained without classes (leave it out)`,
  );
}
