/** The settings of the playground. The page's address holds them, so a link trains the same model. */

import { UserError } from "../kernels/core/checks.ts";

/** The playground cannot start or continue a training. */
export class PlaygroundError extends UserError {
  override name = "PlaygroundError";
}

/** A setting: its text in an address, and its range. (The `Setting` of tasks also serves command lines and `--help`.) */
interface Setting<Value> {
  /** The label of its control. */
  readonly doc: string;
  readonly default: Value;
  /** The accepted values, for messages. */
  readonly expected: string;
  /** Parses a text; undefined if it is not a valid value. */
  parse(text: string): Value | undefined;
  /** The values of a choice, each with its label. */
  readonly names?: Readonly<Record<string, string>>;
  /** The range of a number. */
  readonly range?: readonly [min: number, max: number];
}

function choice<const Names extends Readonly<Record<string, string>>>(
  doc: string,
  names: Names,
): Setting<keyof Names & string> {
  const choices = Object.keys(names);
  return {
    doc,
    names,
    default: choices[0],
    expected: choices.join(", "),
    parse: (text) => choices.find((name) => name === text),
  };
}

function number(
  doc: string,
  byDefault: number,
  [min, max]: readonly [number, number],
  { whole = true } = {},
): Setting<number> {
  return {
    doc,
    default: byDefault,
    range: [min, max],
    expected: `a ${whole ? "whole " : ""}number from ${min} to ${max}`,
    parse(text) {
      const value = text.trim() === "" ? NaN : Number(text);
      return value >= min && value <= max && (!whole || Number.isInteger(value)) ? value : undefined;
    },
  };
}

/** Maximum number of characters of drawn strokes in an address. */
const maxDrawn = 6000;

/** All settings by name. To add one, add a row; address, checks and controls follow. */
export const settings = {
  data: choice("Data", {
    moons: "moons",
    ring: "ring",
    checkerboard: "checkerboard",
    spiral: "spiral",
    letters: "letters",
    drawn: "draw your own",
  }),
  drawn: {
    doc: "Strokes",
    default: "",
    expected: "strokes in the page's own encoding",
    parse: (text) => /^[\w-]*$/.test(text) && text.length <= maxDrawn ? text : undefined,
  } as Setting<string>,
  step: choice("Story", {
    watch: "Watch",
    pair: "Pair",
    average: "Average",
    follow: "Follow",
    few: "Fewer steps",
    random: "Randomness",
    classes: "Classes",
    digits: "Digits",
  }),
  pairs: choice("Pairs", { random: "random", nearest: "nearest" }),
  objective: choice("The network learns", { velocity: "the velocity here", one_step: "the whole step" }),
  hidden: number("Hidden units", 64, [4, 256]),
  times: choice("Times in training", {
    uniform: "uniform",
    logit_normal: "more in the middle",
    stratified: "evenly spread",
    u_shaped: "more at both ends",
  }),
  path: choice("Path", { linear: "straight", cosine: "curved" }),
  prediction: choice("Output", { velocity: "velocity", data: "data", noise: "noise" }),
  rate: number("Learning rate", 0.02, [1e-5, 1], { whole: false }),
  batch: number("Pairs per step", 256, [8, 256]),
  steps: number("Training steps", 4000, [1, 1_000_000]),
  seed: number("Seed", 1, [0, 2 ** 32 - 1]),
  behind: choice("Behind the dots", { nothing: "nothing", likelihood: "how likely each place is" }),
  solver: choice("Solver", { euler: "Euler", midpoint: "midpoint", heun: "Heun", rk4: "Runge-Kutta 4" }),
  moves: number("Solver steps", 32, [1, 64]),
  noise: number("Noise on the way", 1, [0, 4], { whole: false }),
  label: choice("Class", { first: "first", second: "second" }),
  scale: number("Guidance", 1.5, [0, 6], { whole: false }),
  start: choice("Digits start from", {
    checkpoint: "a trained network",
    blank28: "nothing, 28 × 28",
    blank14: "nothing, 14 × 14",
  }),
  digit_steps: number("Training steps on digits", 20_000, [1, 1_000_000]),
  device: choice("Computes on", { cpu: "the processor", webgpu: "the GPU" }),
  threads: number("Threads", 1, [1, 64]),
  t: number("t", 1, [0, 1], { whole: false }),
} as const;

export type SettingName = keyof typeof settings;

export type PlaygroundSettings = {
  readonly [Name in SettingName]: (typeof settings)[Name]["default"];
};

/** The names, in the order of the table. */
export const settingNames = Object.keys(settings) as readonly SettingName[];

/** The row of a setting, typed for any kind. */
export function rowOf(name: SettingName): Setting<string | number> {
  return settings[name] as unknown as Setting<string | number>;
}

export const defaults = Object.fromEntries(
  settingNames.map((name) => [name, rowOf(name).default]),
) as PlaygroundSettings;

/** The initial settings of each step of the story: the defaults in an address that names it, and in links to it. */
export const firstShown: Readonly<Record<PlaygroundSettings["step"], Partial<PlaygroundSettings>>> = {
  watch: { moves: 32, t: 1 },
  pair: { t: 0.4 },
  average: { t: 0.3 },
  follow: { moves: 32, t: 1 },
  few: { moves: 1, t: 1 },
  random: { t: 1 },
  classes: { t: 0.5 },
  digits: {},
};

/**
 * Reads an address such as `playground.html#data=spiral&seed=7`, or its part after `#`.
 *
 * @returns the settings, with defaults for those that are missing or invalid, and a line for each part that was ignored
 */
export function settingsOf(
  address: string,
): { readonly settings: PlaygroundSettings; readonly problems: readonly string[] } {
  const read: Record<string, string | number> = {};
  const problems: string[] = [];
  const query = address.includes("#") ? address.slice(address.indexOf("#") + 1) : address;
  for (const [name, text] of new URLSearchParams(query)) {
    const shown = text.length > 40 ? `${text.slice(0, 40)}…` : text;
    if (!Object.hasOwn(settings, name)) {
      problems.push(`"${name.slice(0, 40)}" is an unknown setting (expected ${settingNames.join(", ")})`);
      continue;
    }
    const { parse, expected } = rowOf(name as SettingName);
    const value = parse(text);
    if (value === undefined) problems.push(`${name} is "${shown}" (expected ${expected})`);
    else read[name] = value;
  }
  const asked = { ...defaults, ...read } as PlaygroundSettings;
  const { settings: possible, problem } = possibleSettings({ ...asked, ...firstShown[asked.step], ...read });
  return { settings: possible, problems: problem === undefined ? problems : [...problems, problem] };
}

/** Makes settings trainable together, and describes what it changed. */
export function possibleSettings(
  wanted: PlaygroundSettings,
): { readonly settings: PlaygroundSettings; readonly problem?: string } {
  if (wanted.objective !== "one_step") return { settings: wanted };
  const settings = { ...wanted, path: "linear", prediction: "velocity", pairs: "random" } as const;
  const changed = settingNames.filter((name) => settings[name] !== wanted[name]);
  if (changed.length === 0) return { settings };
  const words = changed.map((name) => rowOf(name).doc.toLowerCase()).join(", ");
  return {
    settings,
    problem:
      `the whole step needs the straight path, velocity as output, and random pairs (changed: ${words})`,
  };
}

/** The part of an address after `#`: all settings that differ from the defaults of their step. */
export function addressOf(settings: PlaygroundSettings): string {
  const query = new URLSearchParams();
  const usual = { ...defaults, ...firstShown[settings.step] };
  for (const name of settingNames) {
    if (settings[name] !== usual[name]) query.set(name, String(settings[name]));
  }
  return `#${query}`;
}

/** The settings that determine the weights, besides the number of steps. */
const ofTraining: readonly SettingName[] = [
  ...["data", "drawn", "pairs", "objective", "hidden", "times"] as const,
  ...["path", "prediction", "rate", "batch", "seed"] as const,
];

/** Whether a change of settings needs a new training. More steps continue the current one. */
export function needsTraining(before: PlaygroundSettings, after: PlaygroundSettings): boolean {
  return ofTraining.some((name) => before[name] !== after[name]);
}
