/// <reference lib="dom" />
import type { Course } from "./course.ts";
import { element } from "./dom.ts";
import type { Explorer } from "./explorer.ts";
import { drawImage } from "./image_panel.ts";

/** Small pictures of samples from the same noise through each run, which a reader can open in the explorer. */
export class LiveGrid {
  constructor(readonly place: HTMLElement, readonly explorer: Explorer) {}

  /** Makes room for a picture of each seed and each run, empty at first; returns the buttons by run. */
  prepare(
    runs: readonly (readonly [run: number, name: string])[],
    seeds: readonly number[],
  ): Map<number, HTMLButtonElement[]> {
    const places = new Map<number, HTMLButtonElement[]>();
    const [, H, W] = this.explorer.size;
    const figures = runs.map(([run, name]) => {
      const buttons = seeds.map((seed) => {
        const canvas = element("canvas", { "aria-hidden": "true", width: `${W}`, height: `${H}` });
        const label = `Look at seed ${seed}${runs.length > 1 ? ` of ${name}` : ""}`;
        return element("button", { type: "button", "aria-label": label, title: `Seed ${seed}` }, canvas);
      });
      for (const button of buttons) button.disabled = true;
      places.set(run, buttons);
      const words = `${runs.length > 1 ? `${name}, seeds` : "Seeds"} ${seeds[0]} to ${seeds.at(-1)}`;
      return element(
        "figure",
        {},
        element("div", { class: "thumbnails many" }, ...buttons),
        element("figcaption", { text: words }),
      );
    });
    const hide = element("button", { type: "button", text: "Hide" });
    hide.addEventListener("click", () => this.place.hidden = true);
    figures.at(-1)!.querySelector("figcaption")!.append(" ", hide);
    this.place.replaceChildren(...figures);
    this.place.hidden = false;
    return places;
  }

  /** Draws the current state of the samples, f32[N, C, H, W]. */
  draw(buttons: readonly HTMLButtonElement[], image: Float32Array): void {
    const { size, palette } = this.explorer;
    const length = image.length / buttons.length;
    buttons.forEach((button, n) => {
      const values = image.subarray(n * length, (n + 1) * length);
      drawImage(button.querySelector("canvas")!, values, size, { palette, range: [0, 1] });
    });
  }

  /** Lets the reader open the samples. */
  finish(buttons: readonly HTMLButtonElement[], run: number, courses: readonly Course[]): void {
    buttons.forEach((button, n) => {
      button.disabled = false;
      button.addEventListener("click", () => this.explorer.open(run, courses[n]));
    });
  }
}
