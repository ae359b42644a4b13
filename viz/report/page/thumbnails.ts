/// <reference lib="dom" />
import { type Course, field } from "./course.ts";
import { element } from "./dom.ts";
import { drawImage } from "./image_panel.ts";

/** A sample to choose. */
export interface Sample {
  readonly course: Course;
  /** The course after a reader has painted in it. */
  painted?: Course;
  /** The first part of the course after more paint. */
  growing?: Course;
}

/** The last course of a sample that is complete. */
export function settled({ course, painted }: Sample): Course {
  return painted ?? course;
}

/** The course of a sample to look at. */
export function shown(sample: Sample): Course {
  return sample.growing ?? settled(sample);
}

/** A button, and the course that it shows. */
interface Entry {
  readonly sample: Sample;
  readonly button: HTMLButtonElement;
  drawn?: Course;
}

/** Buttons that show where each sample ends, to choose it by. */
export class Thumbnails {
  #buttons: Entry[] = [];

  /** @param palette u8[256, 3] */
  constructor(
    readonly place: HTMLElement,
    readonly palette: Uint8Array,
    readonly onChoose: (sample: Sample) => void,
  ) {}

  /** Shows samples, one of them as the chosen one. */
  show(samples: readonly Sample[], chosen: Sample): void {
    if (samples.length !== this.#buttons.length || samples.some((s, i) => s !== this.#buttons[i].sample)) {
      const known = new Map(this.#buttons.map((entry) => [entry.sample, entry]));
      this.#buttons = samples.map((sample) => known.get(sample) ?? { sample, button: this.#button(sample) });
      this.place.replaceChildren(...this.#buttons.map(({ button }) => button));
    }
    for (const entry of this.#buttons) this.#update(entry, entry.sample === chosen);
  }

  #button(sample: Sample): HTMLButtonElement {
    const { name, origin } = sample.course;
    const canvas = element("canvas", { "aria-hidden": "true" });
    const button = element("button", { type: "button", title: origin, "aria-label": name }, canvas);
    button.addEventListener("click", () => this.onChoose(sample));
    return button;
  }

  #update(entry: Entry, chosen: boolean): void {
    const { sample, button } = entry;
    const course = shown(sample);
    const pressed = `${chosen}`;
    if (button.getAttribute("aria-pressed") !== pressed) {
      button.setAttribute("aria-pressed", pressed);
      if (chosen) this.place.scrollLeft = Math.max(this.#leftFor(button), 0);
    }
    if (entry.drawn === course) return;
    entry.drawn = course;
    const { shape: [M, ...size] } = course;
    const colours = { palette: this.palette, range: [0, 1] as const };
    drawImage(button.querySelector("canvas")!, field(course, "image", M - 1), size, colours);
    button.classList.toggle("painted", course !== sample.course);
  }

  /** How far the row must be scrolled to show a button. */
  #leftFor({ offsetLeft, offsetWidth }: HTMLElement): number {
    const { scrollLeft, clientWidth } = this.place;
    return Math.min(Math.max(scrollLeft, offsetLeft + offsetWidth - clientWidth), offsetLeft);
  }
}
