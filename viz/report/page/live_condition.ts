/// <reference lib="dom" />
import type { LivePayload } from "../payload.ts";
import type { Steps } from "./course.ts";
import { byId, element } from "./dom.ts";
import { NumberField } from "./number_field.ts";

/** What a reader asks of a network: a class, all in turn, or none. */
export interface Choice {
  readonly label: number | "all" | "none";
  readonly guidance: number;
}

/** The controls for class and guidance, there for networks that know classes or are guided without. */
export class LiveCondition {
  readonly #class = byId<HTMLSelectElement>("live-class");
  readonly #guidance: NumberField;
  readonly #place = byId("live-condition");
  readonly #classPlace = byId("live-class-label");

  /** @param onEnter called when its reader presses Enter */
  constructor(onEnter: () => void) {
    this.#guidance = new NumberField("live-guidance", "Guidance", onEnter);
  }

  /**
   * Shows the controls for a network of so many classes; for one without they are hidden, unless it is guided.
   *
   * @param guidance the first choice; 1.5 by default
   */
  show(classes: number, guidance: number | undefined): void {
    this.#place.hidden = classes === 0 && guidance === undefined;
    const labels = classes > 0
      ? ["all", ...Array.from({ length: classes }, (_, label) => `${label}`), "none"]
      : ["none"];
    if (this.#place.hidden || this.#class.options.length === labels.length) return;
    this.#classPlace.hidden = classes === 0;
    this.#class.replaceChildren(...labels.map((value) => element("option", { value, text: value })));
    if (guidance !== undefined) this.#guidance.value = guidance;
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

/** What a choice means for a sample: its class and the guidance by that, or the guidance away from an early self. */
export function guidedBy(
  { guidance }: Choice,
  label: number | undefined,
  live: LivePayload | undefined,
): Pick<Steps, "label" | "guidance"> {
  if (label !== undefined) return { label, guidance };
  return live?.awayFromEarly === undefined ? {} : { guidance };
}
