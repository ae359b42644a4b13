/// <reference lib="dom" />
import type { Trajectories } from "../plane_views.ts";
import type { PlaygroundSettings } from "../settings.ts";
import type { PlanePen, PlaneState } from "./plane_pen.ts";
import { cells, drawClasses, drawCrowd, drawFew } from "./more_pictures.ts";
import {
  classesReading,
  crowdReading,
  fanReading,
  fewReading,
  followReading,
  type Reading,
} from "./readings.ts";
import { drawDropped, drawFan, drawField, drawPairs, labelField } from "./story_pictures.ts";

/** @param shown the dots, which glide to those of the latest frame */
type Draw = (pen: PlanePen, state: PlaneState, shown?: Trajectories) => void;

/** A step of the story: its picture, and what the reader can do in it. */
export interface StoryStep {
  /** What the plane shows, for those who do not see it. */
  readonly description: string;
  /** What pointer and keys do in the plane: look at a place, or drop a dot; by default nothing. */
  readonly pointer?: "looks" | "drops";
  /** Planes in a row; by default one plane is the whole picture. */
  readonly cells?: number;
  /** How opaque the dots are, by default 0, and what is drawn below and above them. */
  readonly dots?: number;
  readonly below?: Draw;
  readonly above?: Draw;
  /** What it says in numbers. */
  readonly reading?: (state: PlaneState) => Reading;
}

/** All steps, in their order. To add one, add its row, its name in the settings, and its section in body.html. */
export const storySteps: Readonly<Record<PlaygroundSettings["step"], StoryStep>> = {
  watch: {
    description: "Dots on their way from noise to data",
    dots: 1,
    below: drawField,
    above: labelField,
  },
  pair: {
    description: "A noise dot, a data dot, the line between and its velocity",
    above: drawPairs,
  },
  average: {
    description: "All lines through a place, their mean and the network's arrow",
    pointer: "looks",
    above: drawFan,
    reading: fanReading,
  },
  follow: {
    description: "Dropped dots, their straight lessons and their trajectories",
    pointer: "drops",
    dots: 0.3,
    above: drawDropped,
    reading: followReading,
  },
  few: {
    description:
      "The same dots in a plane for each number of solver steps, and how far from the data they end",
    pointer: "looks",
    cells,
    above: drawFew,
    reading: fewReading,
  },
  random: {
    description: "Dots that are pushed at random on their way, and contours of their density",
    dots: 1,
    below: drawCrowd,
    reading: crowdReading,
  },
  classes: {
    description: "The lines through a place to a class and to all data, their means, and the guided velocity",
    pointer: "looks",
    dots: 0.5,
    above: drawClasses,
    reading: classesReading,
  },
  digits: { description: "" },
};
