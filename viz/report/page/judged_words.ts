/// <reference lib="dom" />
import type { Share } from "../judging_library.ts";
import { element } from "./dom.ts";
import type { Judged } from "./sample_judge.ts";

/** The judge is certain of a class from this probability on, as in `deno task evaluate`. */
const certain = 0.9;

/** What a judge says of fresh samples, for a reader. */
export function judgedWords(judged: Judged, asked: readonly (number | undefined)[]): HTMLElement {
  const { classes, confidence, precision, recall, references, real, accuracy } = judged;
  const N = classes.length;
  const sure = confidence.filter((p) => p >= certain).length;
  const right = classes.filter((label, n) => label === asked[n]).length;
  const lines: (readonly [name: string, text: string])[] = [
    [
      "Recognised",
      `${sure} of ${N} by a classifier with a probability of at least ${certain}. It is right about ` +
      `${
        percent(accuracy, 1)
      } of test images; below each picture stand the class that it sees and its probability.`,
    ],
    ...asked[0] === undefined ? [] : [["As asked", `${right} of ${N}.`] as const],
    [
      "Precision",
      `${inWords(precision)} of the samples lie within reach of one of ${references} test images.`,
    ],
    ["Recall", `${inWords(recall)} of these test images lie within reach of a sample.`],
  ];
  const about =
    "Within reach of an image is what lies nearer to it, in the classifier\u2019s features, than the fifth " +
    `nearest of its own set. ${N} samples are few: intervals are wide, and their reach is long.` +
    (real
      ? ` ${N} test images in their place get ${percent(real.precision)} and ${
        percent(real.recall)
      } on average.`
      : "");
  return element(
    "div",
    { class: "verdict small" },
    ...lines.map(([name, text]) => element("p", {}, element("b", { text: name }), new Text(` ${text}`))),
    element("p", { text: about }),
  );
}

function inWords({ value, low, high }: Share): string {
  return `${percent(value)} (95 % interval ${percent(low)} to ${percent(high)})`;
}

function percent(share: number, digits = 0): string {
  return `${(100 * share).toFixed(digits)} %`;
}
