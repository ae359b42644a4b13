/// <reference lib="dom" />
import type { Estimate } from "../../../models/mod.ts";
import { percent } from "../series.ts";
import { byId, element } from "./dom.ts";
import type { Explorer } from "./explorer.ts";
import { drawImage } from "./image_panel.ts";
import type { Judged } from "./sample_judge.ts";
import { stepRows } from "./step_strip.ts";
import type { TrajectoryView } from "./trajectory_view.ts";

/** The elements that show a run's samples. */
export interface Place {
  readonly buttons: readonly HTMLButtonElement[];
  /** Text on the samples. */
  readonly notes: HTMLElement;
}

/** A figure of small pictures. */
export interface Row {
  readonly words: string;
  /** The label of each picture's button, and the title below it. */
  readonly pictures: readonly {
    readonly label: string;
    readonly title: string;
    readonly under?: string;
  }[];
}

/** Small pictures of samples of each run from the same noise; clicking one opens it in the explorer. */
export class LiveGrid {
  readonly place = byId("live-grid");

  constructor(readonly explorer: Explorer) {}

  /** Shows rows with buttons that wait for their samples; returns the elements of each. */
  prepare(rows: readonly Row[]): Place[] {
    const places: Place[] = [];
    const [, H, W] = this.explorer.size;
    const figures = rows.map(({ words, pictures }) => {
      const buttons = pictures.map(({ label, title, under }) => {
        const canvas = element("canvas", { "aria-hidden": "true", width: `${W}`, height: `${H}` });
        const button = element("button", { type: "button", "aria-label": label, title }, canvas);
        if (under !== undefined) button.append(below(element("b", { text: under })));
        return button;
      });
      for (const button of buttons) button.disabled = true;
      const notes = element("div", { class: "notes" });
      places.push({ buttons, notes });
      const kind = `thumbnails many${pictures.length === 5 ? " five" : ""}`;
      return element(
        "figure",
        {},
        element("div", { class: kind, role: "group", "aria-label": words }, ...buttons),
        element("figcaption", { text: words }),
        ...rows.length > 1 ? [notes] : [],
      );
    });
    const hide = element("button", { type: "button", text: "Hide" });
    hide.addEventListener("click", () => this.place.hidden = true);
    figures.at(-1)!.querySelector("figcaption")!.append(" ", hide);
    // With a single run, the notes fit beside the pictures.
    const beside = rows.length > 1 ? [] : [places[0].notes];
    this.place.replaceChildren(...figures, ...beside);
    this.place.hidden = false;
    return places;
  }

  /** Draws the current state of the samples, f32[N, C, H, W]. */
  draw({ buttons }: Place, image: Float32Array): void {
    const { size, colours } = this.explorer;
    const length = image.length / buttons.length;
    buttons.forEach((button, n) => {
      const values = image.subarray(n * length, (n + 1) * length);
      drawImage(button.querySelector("canvas")!, values, size, colours.image);
    });
  }

  /** Shows a judge's verdict below each picture, and for all pictures together. */
  judged(
    { buttons, notes }: Place,
    judged: Judged,
    trajectories: readonly TrajectoryView[],
    classNames: readonly string[] = [],
  ): void {
    const { classes, confidence } = judged;
    const labels = trajectories.map(({ solved }) => solved?.label);
    const nameOf = (c: number) => classNames[c] ?? `${c}`;
    buttons.forEach((button, n) => {
      const p = new Text(` ${confidence[n].toFixed(2)}`);
      const asked = labels[n] === undefined ? [] : [`requested ${nameOf(labels[n])}`, element("br"), "seen "];
      button.append(below(...asked, element("b", { text: nameOf(classes[n]) }), p));
    });
    notes.prepend(judgedWords(judged, labels));
  }

  /** Makes the buttons open the samples in the explorer. */
  finish({ buttons, notes }: Place, run: number, trajectories: readonly TrajectoryView[]): void {
    const rows = stepRows(trajectories);
    if (rows) notes.append(rows);
    buttons.forEach((button, n) => {
      button.disabled = false;
      button.addEventListener("click", () => this.explorer.open(run, trajectories[n]));
    });
  }
}

/** The element for text below a picture. */
function below(...words: readonly (Node | string)[]): HTMLElement {
  const under = element("span", { class: "under" });
  under.append(...words);
  return under;
}

/** Minimum probability for the judge to count as certain, as in `deno task evaluate`. */
const certain = 0.9;

/** Describes a judge's verdict on samples. */
function judgedWords(judged: Judged, labels: readonly (number | undefined)[]): HTMLElement {
  const { classes, confidence, precision, recall, references, real, accuracy } = judged;
  const N = classes.length;
  const sure = confidence.filter((p) => p >= certain).length;
  const right = classes.filter((label, n) => label === labels[n]).length;
  const lines: (readonly [name: string, text: string])[] = [
    [
      "Confident",
      `${sure} of ${N}, with a probability of at least ${certain}, by a classifier that labels ` +
      `${percent(accuracy)} of test images correctly. Below each picture are its class and probability.`,
    ],
    ...labels[0] === undefined ? [] : [["Requested class", `${right} of ${N}.`] as const],
    [
      "Precision",
      `${formatEstimate(precision)} of the samples are within reach of one of ${references} test images.`,
    ],
    ["Recall", `${formatEstimate(recall)} of these test images are within reach of a sample.`],
  ];
  const ofReal = real && [real.precision, real.recall].map((share) => percent(share, 0)).join(" and ");
  const about =
    "A point is within reach of an image if it is closer to it, in the classifier\u2019s features, than the " +
    `image\u2019s fifth neighbour in its own set. ${N} samples are few, so intervals and reaches are wide.` +
    (ofReal ? ` ${N} test images in place of samples would get ${ofReal} on average.` : "");
  return element(
    "div",
    { class: "verdict small" },
    ...lines.map(([name, text]) => element("p", {}, element("b", { text: name }), new Text(` ${text}`))),
    element("p", { text: about }),
  );
}

function formatEstimate({ value, low, high }: Estimate): string {
  return `${percent(value, 0)} (95 % interval ${percent(low, 0)} to ${percent(high, 0)})`;
}
