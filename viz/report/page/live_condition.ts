/// <reference lib="dom" />
import type { Steps } from "./course.ts";
import { byId, element } from "./dom.ts";
import { NumberField } from "./number_field.ts";

/** What a reader asks of a network: a class, all in turn, or none. */
export interface Choice {
  readonly label: number | "all" | "none";
  readonly guidance: number;
}

/** The controls for class and guidance, there for networks that know classes. */
export class LiveCondition {
  readonly #class = byId<HTMLSelectElement>("live-class");
  readonly #guidance: NumberField;
  readonly #place = byId("live-condition");

  /** @param onEnter called when its reader presses Enter */
  constructor(onEnter: () => void) {
    this.#guidance = new NumberField("live-guidance", "Guidance", onEnter);
  }

  /**
   * Shows the controls for a network of so many classes; for one without they are hidden.
   *
   * @param recorded how the samples in the report were solved: their guidance is the first choice
   */
  show(classes: number, recorded: Steps | undefined): void {
    this.#place.hidden = classes === 0;
    if (classes === 0 || this.#class.options.length === classes + 2) return;
    const labels = ["all", ...Array.from({ length: classes }, (_, label) => `${label}`), "none"];
    this.#class.replaceChildren(...labels.map((value) => element("option", { value, text: value })));
    if (recorded?.guidance !== undefined) this.#guidance.value = recorded.guidance;
  }

  /** What is wrong with what was entered, or undefined. */
  check(): string | undefined {
    return this.#place.hidden ? undefined : this.#guidance.check();
  }

  /** What was entered. */
  get choice(): Choice {
    const { value } = this.#class;
    const label = value === "all" || value === "none" ? value : Number(value);
    return { label: this.#place.hidden ? "none" : label, guidance: this.#guidance.value };
  }
}

/** The class of each seed for a network of so many classes; undefined if none is asked for. */
export function labelsOf({ label }: Choice, classes: number, seeds: readonly number[]): number[] | undefined {
  if (classes === 0 || label === "none") return undefined;
  if (label === "all") return seeds.map((seed) => seed % classes);
  return label < classes ? seeds.map(() => label) : undefined;
}

/** How a sample is solved, with the class that it is asked to be of. */
export function withLabel(how: Steps, label: number | undefined, { guidance }: Choice): Steps {
  return label === undefined ? how : { ...how, label, guidance };
}
