import { bits } from "./measurements/bits.ts";
import { copies } from "./measurements/copies.ts";
import { course } from "./measurements/course.ts";
import { likeness } from "./measurements/likeness.ts";
import { losses } from "./measurements/losses.ts";
import { recognition } from "./measurements/recognition.ts";
import type { Measurement } from "./trial.ts";

/** The parts of an evaluation, in the order they are measured. */
export const measurements: readonly Measurement[] = [recognition, likeness, copies, losses, course, bits];
