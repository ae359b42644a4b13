/// <reference lib="dom" />
import { byId } from "../../viz/report/page/dom.ts";
import { addressOf, firstShown, type PlaygroundSettings, settingsOf } from "../settings.ts";
import type { PlaneState } from "./plane_pen.ts";
import { storySteps } from "./story_steps.ts";

/** The links to the story's steps, the text of the current one, and the terms of its formulas. */
export class Story {
  /** @param onMark called with the mark that a pointed-at term names, and with undefined afterwards */
  constructor(onMark: (mark: string | undefined) => void) {
    for (const term of document.querySelectorAll<HTMLElement>("[data-mark]")) {
      for (const event of ["pointerenter", "focus"]) {
        term.addEventListener(event, () => onMark(term.dataset.mark));
      }
      for (const event of ["pointerleave", "blur"]) term.addEventListener(event, () => onMark(undefined));
    }
  }

  /** Shows the step's numbers. */
  showReading(state: PlaneState): void {
    const { step } = state.settings;
    const { reading } = storySteps[step];
    if (!reading) return;
    const { text, values } = reading(state);
    const place = byId(`${step}-text`);
    place.textContent = text;
    for (const name of Object.keys(place.dataset)) delete place.dataset[name];
    Object.assign(place.dataset, values); // for tests
  }

  /** Shows the current step; links to other steps keep the remaining settings. */
  show(settings: PlaygroundSettings): void {
    for (const link of document.querySelectorAll<HTMLAnchorElement>("#story-links a, .next")) {
      const { step } = settingsOf(link.hash).settings;
      link.href = addressOf({ ...settings, ...firstShown[step], step });
      if (step === settings.step) link.setAttribute("aria-current", "step");
      else link.removeAttribute("aria-current");
    }
    const followed = document.activeElement?.closest<HTMLElement>("#story > section");
    for (const section of document.querySelectorAll<HTMLElement>("#story > section")) {
      section.hidden = section.dataset.step !== settings.step;
      // The followed link is hidden with its section, so the new heading takes the focus.
      if (!section.hidden && followed?.hidden) section.querySelector("h2")!.focus();
    }
  }
}
