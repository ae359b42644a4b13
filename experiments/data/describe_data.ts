import { sizeInWords } from "../../viz/mod.ts";
import { printable } from "../terminal/output.ts";
import type { Dataset } from "./labelled_images.ts";

/** Most classes that are listed by name. */
const mostListed = 20;

/** What is said of a data set. */
export interface DataFacts {
  readonly name: string;
  /** Number of images that training may use, with those that validate, and that test. */
  readonly train: number;
  readonly test: number;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly classes: number;
  readonly classNames?: readonly string[] | undefined;
}

/**
 * A data set in words, one line whatever its folders are called: `birds: 900 images of 3 x 32 x 32 to train and 100 to test,
 * 2 classes: finch, owl`.
 */
export function describeData(
  { name, train, test, channels, height, width, classes, classNames = [] }: DataFacts,
): string {
  const size = sizeInWords([channels, height, width]);
  const names = classNames.length > 0 && classNames.length <= mostListed ? `: ${classNames.join(", ")}` : "";
  const count = classes > 0 ? `, ${classes} ${classes === 1 ? "class" : "classes"}${names}` : ", no classes";
  return printable(
    `${name}: ${train.toLocaleString("en")} images of ${size} to train and ${
      test.toLocaleString("en")
    } to test${count}`,
  );
}

/** What is said of a data set that was loaded. */
export function factsOfData({ train, test, ...data }: Dataset): DataFacts {
  return { ...data, train: train.count, test: test.count };
}
