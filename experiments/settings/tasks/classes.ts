import { optional } from "../kinds.ts";
import type { Setting } from "../setting.ts";

/** Some of the classes, or all of them. */
export type Classes = readonly number[] | "all";

/** Which classes to draw: some of them, all of them, or as if there were none. */
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

/** The part of t in which there is guidance, written `0.1,1`. */
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

function areClasses(value: unknown): value is Classes {
  return value === "all" || areNumbers(value);
}

function areNumbers(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.length > 0 && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

function numbersOf(text: string): number[] {
  return text.split(",").map((part) => part.trim() === "" ? NaN : Number(part));
}
