/// <reference lib="dom" />
import { byId } from "../../viz/report/page/dom.ts";
import type { Trajectories } from "../plane_views.ts";
import { addressOf, firstShown, type PlaygroundSettings, settingsOf } from "../settings.ts";
import type { PlanePen, PlaneState } from "./plane_pen.ts";
import * as readings from "./readings.ts";
import * as pictures from "./pictures.ts";

/** @param shown the dots on screen, which glide to those of the latest frame */
type Draw = (pen: PlanePen, state: PlaneState, shown?: Trajectories) => void;

/** A step of the story: its picture, and what the reader can do in it. */
export interface StoryStep {
  /** What the plane shows, for screen readers. */
  readonly description: string;
  /** What pointer and keys do in the plane: probe a place or drop a dot; by default nothing. */
  readonly pointer?: "looks" | "drops";
  /** Planes per row; by default one plane fills the picture. */
  readonly cells?: number;
  /** Opacity of the dots, by default 0; `below` and `above` draw behind and in front of them. */
  readonly dots?: number;
  readonly below?: Draw;
  readonly above?: Draw;
  /** The line of numbers below its text. */
  readonly reading?: (state: PlaneState) => readings.Reading;
}

/** All steps, in order. To add one, add its row here, its name in the settings, and its section in body.html. */
export const storySteps: Readonly<Record<PlaygroundSettings["step"], StoryStep>> = {
  watch: {
    description: "Dots on their way from noise to data",
    dots: 1,
    below: pictures.drawField,
    above: pictures.labelField,
  },
  pair: {
    description: "A noise dot, a data dot, the line between them and its velocity",
    above: pictures.drawPairs,
  },
  average: {
    description: "All lines through a place, their mean and the network's arrow",
    pointer: "looks",
    above: pictures.drawFan,
    reading: readings.fanReading,
  },
  follow: {
    description: "Dropped dots, their straight lessons and their trajectories",
    pointer: "drops",
    dots: 0.3,
    above: pictures.drawDropped,
    reading: readings.followReading,
  },
  few: {
    description: "The same dots in one plane per number of solver steps, and how far from the data they end",
    pointer: "looks",
    cells: pictures.cells,
    above: pictures.drawFew,
    reading: readings.fewReading,
  },
  random: {
    description: "Dots pushed at random on their way, and contours of their density",
    dots: 1,
    below: pictures.drawCrowd,
    reading: readings.crowdReading,
  },
  classes: {
    description: "The lines from a place to a class and to all data, their means, and the guided velocity",
    pointer: "looks",
    dots: 0.5,
    above: pictures.drawClasses,
    reading: readings.classesReading,
  },
  digits: { description: "" },
};

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
