/// <reference lib="dom" />
import { imageAt, imageSizeOf } from "../../flow/trajectory.ts";
import { byId, element } from "./dom.ts";
import { type Colours, drawImage } from "./image_panel.ts";
import { isEnd, type TrajectoryView } from "./trajectory_view.ts";

/** A sample with its trajectories. */
export interface Thumbnail {
  original: TrajectoryView;
  /** The trajectory after painting. */
  painted?: TrajectoryView;
  /** The solved part of the trajectory after more painting. */
  growing?: TrajectoryView;
}

/** The last complete trajectory of a sample. */
export function settled({ original, painted }: Thumbnail): TrajectoryView {
  return painted ?? original;
}

/** The latest trajectory of a sample, complete or not. */
export function shown(sample: Thumbnail): TrajectoryView {
  return sample.growing ?? settled(sample);
}

interface Entry {
  readonly sample: Thumbnail;
  readonly button: HTMLButtonElement;
  drawn?: TrajectoryView;
}

/** Buttons that show the finished image of each sample. */
export class Thumbnails {
  #buttons: Entry[] = [];

  /** Whether the page can solve samples of which it embeds only the end. */
  canSolve = false;

  readonly place = byId("explorer-samples");

  constructor(readonly colours: Colours, readonly onChoose: (sample: Thumbnail) => void) {}

  /** Shows samples and marks the selected one. */
  show(samples: readonly Thumbnail[], chosen: Thumbnail): void {
    if (samples.length !== this.#buttons.length || samples.some((s, i) => s !== this.#buttons[i].sample)) {
      const entries = new Map(this.#buttons.map((entry) => [entry.sample, entry]));
      this.#buttons = samples.map((sample) =>
        entries.get(sample) ?? { sample, button: this.#button(sample) }
      );
      this.place.replaceChildren(...this.#buttons.map(({ button }) => button));
    }
    for (const entry of this.#buttons) this.#update(entry, entry.sample === chosen);
  }

  #button(sample: Thumbnail): HTMLButtonElement {
    const { name, origin } = sample.original;
    const canvas = element("canvas", { "aria-hidden": "true" });
    const button = element("button", { type: "button", title: origin, "aria-label": name }, canvas);
    button.addEventListener("click", () => this.onChoose(sample));
    return button;
  }

  #update(entry: Entry, chosen: boolean): void {
    const { sample, button } = entry;
    const trajectory = shown(sample);
    const pressed = `${chosen}`;
    if (button.getAttribute("aria-pressed") !== pressed) {
      button.setAttribute("aria-pressed", pressed);
      if (chosen) this.place.scrollLeft = Math.max(this.#leftFor(button), 0);
    }
    button.disabled = isEnd(trajectory) && !this.canSolve;
    if (entry.drawn === trajectory) return;
    entry.drawn = trajectory;
    const end = imageAt(trajectory, trajectory.shape[0] - 1);
    drawImage(button.querySelector("canvas")!, end, imageSizeOf(trajectory), this.colours);
    button.classList.toggle("painted", trajectory !== sample.original);
  }

  /** Scroll position of the row that shows a button. */
  #leftFor({ offsetLeft, offsetWidth }: HTMLElement): number {
    const { scrollLeft, clientWidth } = this.place;
    return Math.min(Math.max(scrollLeft, offsetLeft + offsetWidth - clientWidth), offsetLeft);
  }
}
