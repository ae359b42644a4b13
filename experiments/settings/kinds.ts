import { shownAddress } from "../run/server_url.ts";
import type { Setting } from "./setting.ts";

/** Bounds of a number: `min` and `max` are inclusive, `above` and `below` exclusive. */
export interface Range {
  readonly min?: number;
  readonly above?: number;
  readonly max?: number;
  readonly below?: number;
}

/** Options of every kind of setting. */
export interface Options<Value> {
  readonly doc: string;
  readonly default?: Value;
}

/** A whole number, at least 0 by default. */
export function integer(options: Options<number> & Range): Setting<number> {
  const range = { min: 0, ...options };
  return {
    ...options,
    hint: "N",
    expected: `a whole number ${inWords(range)}`,
    fromText: toNumber,
    accepts: (value): value is number => Number.isSafeInteger(value) && within(value as number, range),
  };
}

/** A finite number in a range. */
export function number(options: Options<number> & Range): Setting<number> {
  return {
    ...options,
    hint: "X",
    expected: `a number ${inWords(options)}`.trim(),
    fromText: toNumber,
    accepts: (value): value is number => Number.isFinite(value) && within(value as number, options),
  };
}

/** A list of positive whole numbers, written `16,32,64`. */
export function integers(options: Options<readonly number[]>): Setting<readonly number[]> {
  return {
    ...options,
    hint: "N,N,...",
    expected: "whole numbers of at least 1, such as 16,32,64",
    fromText: (text) => text.split(",").map(toNumber),
    accepts: (value): value is readonly number[] =>
      Array.isArray(value) && value.length > 0 && value.every((n) => Number.isSafeInteger(n) && n >= 1),
  };
}

/** One of several words. */
export function choice<const Word extends string>(
  choices: readonly Word[],
  options: Options<NoInfer<Word>>,
): Setting<Word> {
  return {
    ...options,
    hint: choices.join("|"),
    expected: anyOf(choices),
    choices,
    fromText: (text) => text,
    accepts: (value): value is Word => choices.some((word) => word === value),
  };
}

/** A switch, turned on by `--name` and off by `--no-name`. */
export function toggle(options: Options<boolean>): Setting<boolean> {
  return {
    ...options,
    expected: "true or false",
    fromText: (text) => text,
    accepts: (value): value is boolean => typeof value === "boolean",
  };
}

/** A switch that the program decides if it is not given ("auto"). */
export function autoToggle(options: Options<boolean | "auto">): Setting<boolean | "auto"> {
  return {
    ...options,
    expected: "true, false or auto",
    fromText: (text) => text,
    accepts: (value): value is boolean | "auto" => typeof value === "boolean" || value === "auto",
  };
}

/** Text that matches a pattern. */
export function text(
  options: Options<string> & { hint: string; pattern: RegExp; expected: string },
): Setting<string> {
  return {
    ...options,
    fromText: (text) => text,
    accepts: (value): value is string => typeof value === "string" && options.pattern.test(value),
  };
}

/** A path; `hint` stands for it in `--help`. */
export function path(hint: string, doc: string): Setting<string> {
  return text({ doc, hint, pattern: /./, expected: "a path" });
}

/** A server address; errors do not show its credentials. */
export function address(hint: string, doc: string): Setting<string> {
  return { ...line(hint, doc), shown: (value) => typeof value === "string" ? shownAddress(value) : "" };
}

/** A name; `hint` stands for it in `--help`. */
export function line(hint: string, doc: string): Setting<string> {
  return text({ doc, hint, pattern: /^\P{Cc}+$/u, expected: "one line of text" });
}

/** A setting that may be absent (null in `config.json`). */
export function optional<Value>(setting: Setting<Value>): Setting<Value | null> {
  return {
    ...setting,
    default: null,
    accepts: (value): value is Value | null => value === null || setting.accepts(value),
  };
}

/** Some of the classes, or all of them. */
export type Classes = readonly number[] | "all";

/** Which classes to draw; `none` draws unconditionally. */
export type ClassChoice = Classes | "none";

/** A choice of classes, written `3,1,4`, `all` or `none`. */
export function classChoice(doc: string): Setting<ClassChoice | null> {
  return optional<ClassChoice>({
    doc,
    hint: "N,N,...|all|none",
    expected: "classes such as 3,1,4, or all, or none",
    fromText: (text) => ["all", "none"].includes(text) ? text : numbersOf(text),
    accepts: (value): value is ClassChoice => value === "none" || areClasses(value),
  });
}

/** Classes, written `3,8` or `all`. */
export function classList(doc: string): Setting<Classes | null> {
  return optional<Classes>({
    doc,
    hint: "N,N,...|all",
    expected: "classes such as 3,8, or all",
    fromText: (text) => text === "all" ? text : numbersOf(text),
    accepts: areClasses,
  });
}

/** Numbers of images from 0, written `12,57`. */
export function imageNumbers(doc: string): Setting<readonly number[] | null> {
  return optional<readonly number[]>({
    doc,
    hint: "N,N,...",
    expected: "numbers of images from 0, such as 12,57",
    fromText: numbersOf,
    accepts: areNumbers,
  });
}

/** The range of t with guidance, written `0.1,1`. */
export function interval(doc: string): Setting<readonly [from: number, to: number] | null> {
  return optional<readonly [from: number, to: number]>({
    doc,
    hint: "FROM,TO",
    expected: "two times from 0 to 1, the lower first, such as 0.1,1",
    fromText: numbersOf,
    accepts: (value): value is readonly [number, number] =>
      Array.isArray(value) && value.length === 2 && value[0] >= 0 && value[0] < value[1] && value[1] <= 1,
  });
}

/** Lists words as `a, b or c`. */
export function anyOf(words: readonly string[]): string {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
}

function toNumber(text: string): number {
  return text.trim() === "" ? NaN : Number(text);
}

function within(
  value: number,
  { min = -Infinity, above = -Infinity, max = Infinity, below = Infinity }: Range,
) {
  return value >= min && value > above && value <= max && value < below;
}

function inWords({ min, above, max, below }: Range): string {
  return [
    min === undefined ? "" : `of at least ${min}`,
    above === undefined ? "" : `above ${above}`,
    max === undefined ? "" : `of at most ${max}`,
    below === undefined ? "" : `below ${below}`,
  ].filter((words) => words !== "").join(" and ");
}

function areClasses(value: unknown): value is Classes {
  return value === "all" || areNumbers(value);
}

function areNumbers(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.length > 0 && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

function numbersOf(text: string): number[] {
  return text.split(",").map(toNumber);
}
