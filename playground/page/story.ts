/// <reference lib="dom" />
import { byId, element } from "../../viz/report/page/dom.ts";
import { addressOf, type PlaygroundSettings, settings as table } from "../settings.ts";

type Step = PlaygroundSettings["step"];

/** What each step of the story sets. */
const sets: Readonly<Record<Step, Partial<PlaygroundSettings>>> = {
  watch: { moves: 32, t: 1 },
  pair: { t: 0.4 },
  average: { t: 0.3 },
  follow: { moves: 32, t: 1 },
  few: { moves: 1, t: 1 },
  digits: {},
};

const steps = Object.keys(sets) as readonly Step[];

/** The links to the steps of the story, and the text of the present one. */
export class Story {
  readonly #links: readonly HTMLAnchorElement[];
  /** From each step to the next one. */
  readonly #next: HTMLAnchorElement[] = [];

  constructor() {
    this.#links = steps.map((step, i) => {
      const name = table.step.names![step];
      return element("a", { text: i === 0 ? name : `${i} ${name}` });
    });
    byId("story-links").append(...this.#links.map((link) => element("li", {}, link)));
    steps.slice(0, -1).forEach((step, i) => {
      const next = element("a", { class: "next", text: `Next: ${table.step.names![steps[i + 1]]}` });
      document.querySelector(`[data-step="${step}"]`)!.append(element("p", {}, next));
      this.#next.push(next);
    });
  }

  /** Shows the step of the settings; links keep all else that is set. */
  show(settings: PlaygroundSettings): void {
    steps.forEach((step, i) => {
      const link = this.#links[i];
      link.href = addressOf({ ...settings, ...sets[step], step });
      if (i > 0) this.#next[i - 1].href = link.href;
      if (step === settings.step) link.setAttribute("aria-current", "step");
      else link.removeAttribute("aria-current");
    });
    const followed = document.activeElement?.closest<HTMLElement>("#story > section");
    for (const section of document.querySelectorAll<HTMLElement>("#story > section")) {
      section.hidden = section.dataset.step !== settings.step;
      // The link to the next step goes with its section; the keyboard goes on at the new heading.
      if (!section.hidden && followed?.hidden) section.querySelector("h2")!.focus();
    }
  }
}
