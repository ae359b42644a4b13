import { ConfigError } from "../settings/setting.ts";
import { type SampleConfig, usualGuidance } from "../settings/tasks/sample.ts";
import { type Asked, guidanceInWords, inFullRows } from "./asked.ts";

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

/**
 * The images that a command line asks of a network.
 *
 * @param classes of the network, 0 without
 * @param source name of its file, for errors
 * @throws {ConfigError} if the network does not have a class, or has none to guide by
 */
export function askedFor(config: SampleConfig, classes: number, source: string): AskedFor {
  const { count, columns, class: choice, cfgZero } = config;
  if (classes === 0) {
    checkNoClass(config, source);
    return { count, columns, guided: false, words: "" };
  }
  if (choice === "none") return { count, columns, guided: false, words: " without a class" };
  const chosen = typeof choice === "object" && choice !== null
    ? choice
    : Array.from({ length: classes }, (_, c) => c);
  const unknown = chosen.find((label) => label >= classes);
  if (unknown !== undefined) {
    throw new ConfigError(
      `Cannot draw class ${unknown} from ${source}: it has the classes 0 to ${classes - 1}`,
    );
  }
  const N = config.inFullRows ? inFullRows(count, chosen.length) : count;
  const { guidance, guidanceInterval: interval } = config;
  const asked: Asked = {
    labels: Uint32Array.from({ length: N }, (_, i) => chosen[i % chosen.length]),
    guidance: {
      scale: guidance ?? usualGuidance,
      ...interval && { interval },
      ...cfgZero && { zeroStar: true },
    },
  };
  const which = chosen.length === classes ? `all ${classes} classes` : `class ${chosen.join(", ")}`;
  return {
    count: N,
    columns: columns || (chosen.length > 1 ? chosen.length : 0),
    asked,
    guided: asked.guidance.scale !== 1,
    words: ` of ${which}, ${guidanceInWords(asked.guidance)}`,
  };
}

/** @throws {ConfigError} if classes are asked of a network that has none */
function checkNoClass(config: SampleConfig, source: string): void {
  const { class: choice, guidance, guidanceInterval, cfgZero } = config;
  const given = choice !== null
    ? "--class"
    : guidance !== null
    ? "--guidance"
    : guidanceInterval !== null
    ? "--guidance-interval"
    : cfgZero
    ? "--cfg-zero"
    : undefined;
  if (given === undefined) return;
  throw new ConfigError(
    `Cannot use ${given} with ${source}: its network was trained without classes (leave it out)`,
  );
}
