/// <reference lib="dom" />
import { byId, element } from "./dom.ts";
import type { Explorer } from "./explorer.ts";
import { drawImage } from "./image_panel.ts";
import { type Judged, judgedWords } from "./sample_judge.ts";
import { stepRows } from "./step_strip.ts";
import type { TrajectoryView } from "./trajectory_view.ts";

/** The elements of a run's samples. */
export interface Place {
  readonly buttons: readonly HTMLButtonElement[];
  /** Text on the samples. */
  readonly notes: HTMLElement;
}

/** Small pictures of samples of each run from the same noise; a click opens them in the explorer. */
export class LiveGrid {
  readonly place = byId("live-grid");

  constructor(readonly explorer: Explorer) {}

  /** Adds a button for each seed and run; returns the elements by run. */
  prepare(
    runs: readonly (readonly [run: number, name: string])[],
    seeds: readonly number[],
  ): Map<number, Place> {
    const places = new Map<number, Place>();
    const [, H, W] = this.explorer.size;
    const figures = runs.map(([run, name]) => {
      const buttons = seeds.map((seed) => {
        const canvas = element("canvas", { "aria-hidden": "true", width: `${W}`, height: `${H}` });
        const label = `Look at seed ${seed}${runs.length > 1 ? ` of ${name}` : ""}`;
        return element("button", { type: "button", "aria-label": label, title: `Seed ${seed}` }, canvas);
      });
      for (const button of buttons) button.disabled = true;
      const notes = element("div", { class: "notes" });
      places.set(run, { buttons, notes });
      const words = `${runs.length > 1 ? `${name}, seeds` : "Seeds"} ${seeds[0]} to ${seeds.at(-1)}`;
      return element(
        "figure",
        {},
        element("div", { class: "thumbnails many" }, ...buttons),
        element("figcaption", { text: words }),
        ...runs.length > 1 ? [notes] : [],
      );
    });
    const hide = element("button", { type: "button", text: "Hide" });
    hide.addEventListener("click", () => this.place.hidden = true);
    figures.at(-1)!.querySelector("figcaption")!.append(" ", hide);
    // With a single run, notes fit beside its pictures.
    const beside = runs.length > 1 ? [] : [...places.values()].map(({ notes }) => notes);
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

  /** Shows a judge's verdict below each picture and for all together. */
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
      const asked = labels[n] === undefined ? [] : [`asked ${nameOf(labels[n])}`, element("br"), "seen "];
      const under = element("span", { class: "under" });
      under.append(...asked, element("b", { text: nameOf(classes[n]) }), p);
      button.append(under);
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
