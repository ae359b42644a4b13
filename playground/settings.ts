/** The settings of the playground. They are the address of the page, so a link trains the same model. */

import { UserError } from "../kernels/core/user_error.ts";

/** The playground cannot train, or not go on. */
export class PlaygroundError extends UserError {
  override name = "PlaygroundError";
}

/** A setting: how it is written in an address, and what it may be. That of tasks has command lines and `--help`, too. */
interface Setting<Value> {
  /** What it does, for its control. */
  readonly doc: string;
  readonly default: Value;
  /** What is accepted, for messages. */
  readonly expected: string;
  /** The value of a text; undefined if it is none. */
  parse(text: string): Value | undefined;
  /** The names of a choice, each with what it is. */
  readonly names?: Readonly<Record<string, string>>;
  /** The range of a number. */
  readonly range?: readonly [min: number, max: number];
  /** Whether another value needs a new training. */
  readonly trains: boolean;
}

function choice<const Names extends Readonly<Record<string, string>>>(
  doc: string,
  names: Names,
  { trains = true } = {},
): Setting<keyof Names & string> {
  const choices = Object.keys(names);
  return {
    doc,
    names,
    trains,
    default: choices[0],
    expected: choices.join(", "),
    parse: (text) => choices.find((name) => name === text),
  };
}

function number(
  doc: string,
  byDefault: number,
  [min, max]: readonly [number, number],
  { whole = true, trains = true } = {},
): Setting<number> {
  return {
    doc,
    trains,
    default: byDefault,
    range: [min, max],
    expected: `a ${whole ? "whole " : ""}number from ${min} to ${max}`,
    parse(text) {
      const value = text.trim() === "" ? NaN : Number(text);
      return value >= min && value <= max && (!whole || Number.isInteger(value)) ? value : undefined;
    },
  };
}

/** Most characters of drawn strokes in an address. */
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
    trains: true,
    default: "",
    expected: "strokes as the page writes them",
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
  }, { trains: false }),
  pairs: choice("Pairs", { random: "random", nearest: "nearest" }),
  objective: choice("The network learns", {
    velocity: "the velocity here",
    one_step: "the whole step",
  }),
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
  batch: number("Pairs a step", 256, [8, 256]),
  steps: number("Training steps", 4000, [1, 1_000_000]),
  seed: number("Seed", 1, [0, 2 ** 32 - 1]),
  behind: choice("Behind the dots", { nothing: "nothing", likelihood: "how likely each place is" }, {
    trains: false,
  }),
  solver: choice("Solver", { euler: "Euler", midpoint: "midpoint", heun: "Heun", rk4: "Runge-Kutta 4" }, {
    trains: false,
  }),
  moves: number("Solver steps", 32, [1, 64], { trains: false }),
  noise: number("Noise on the way", 1, [0, 4], { whole: false, trains: false }),
  label: choice("Class", { first: "first", second: "second" }, { trains: false }),
  scale: number("Guidance", 1.5, [0, 6], { whole: false, trains: false }),
  start: choice("Digits start from", {
    checkpoint: "a trained network",
    blank28: "nothing, 28 × 28",
    blank14: "nothing, 14 × 14",
  }, { trains: false }),
  digit_steps: number("Training steps on digits", 20_000, [1, 1_000_000], { trains: false }),
  device: choice("Computes on", { cpu: "the processor", webgpu: "the GPU" }, { trains: false }),
  threads: number("Threads", 1, [1, 64], { trains: false }),
  t: number("t", 1, [0, 1], { whole: false, trains: false }),
} as const;

/** Name of a setting. */
export type SettingName = keyof typeof settings;

/** A value for every setting. */
export type PlaygroundSettings = {
  readonly [Name in SettingName]: (typeof settings)[Name]["default"];
};

/** The names, in the order of the table. */
export const settingNames = Object.keys(settings) as readonly SettingName[];

/** A row of the table, whatever its kind. */
export function rowOf(name: SettingName): Setting<string | number> {
  return settings[name] as unknown as Setting<string | number>;
}

/** The defaults of all settings. */
export const defaults = Object.fromEntries(
  settingNames.map((name) => [name, rowOf(name).default]),
) as PlaygroundSettings;

/** What a step of the story shows at first: the defaults of an address that names it, and what links to it set. */
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

/** What an address asks for. */
export interface ParsedAddress {
  /** The settings; those that are unknown or impossible have their defaults. */
  readonly settings: PlaygroundSettings;
  /** A line for each part that cannot be used. */
  readonly problems: readonly string[];
}

/**
 * Reads an address, or its part after `#`.
 *
 * @param address such as `playground.html#data=spiral&seed=7`
 */
export function settingsOf(address: string): ParsedAddress {
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

/** Settings that can be trained together, and what had to be changed for it. */
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
      `the whole step is learned on the straight path, as a velocity, from random pairs (changed: ${words})`,
  };
}

/** The part of an address after `#`: all settings that differ from their defaults, which its step may set. */
export function addressOf(settings: PlaygroundSettings): string {
  const query = new URLSearchParams();
  const usual = { ...defaults, ...firstShown[settings.step] };
  for (const name of settingNames) {
    if (settings[name] !== usual[name]) query.set(name, String(settings[name]));
  }
  return `#${query}`;
}

/** Whether a change of settings needs a new training. More steps continue the present one. */
export function needsTraining(before: PlaygroundSettings, after: PlaygroundSettings): boolean {
  return settingNames.some((name) => rowOf(name).trains && name !== "steps" && before[name] !== after[name]);
}
