import { quiver } from "../../flow/quiver.ts";
import { channelMean } from "../../image/image_shape.ts";
import { type Course, field } from "./course.ts";

/** The largest magnitude of a velocity, or of its mean over the channels; 1 if all are 0, as a scale has a length. */
export function fastestOf(courses: readonly Course[]): number {
  let most = 0;
  for (const course of courses) {
    const [, ...size] = course.shape;
    course.t.forEach((_, m) => {
      most = channelMean(field(course, "velocity", m), size).reduce((a, b) => Math.max(a, Math.abs(b)), most);
    });
  }
  return most || 1;
}

/** The largest difference between blocks over the sample's whole course, so that arrows can be compared over t. */
export function steepest(course: Course): number {
  const { shape: [M, ...size] } = course;
  const [, H, W] = size;
  let most = 0;
  for (let m = 0; m < M; m += Math.max(1, Math.floor(M / 10))) {
    for (const { dx, dy } of quiver(channelMean(field(course, "velocity", m), size), [H, W])) {
      most = Math.max(most, Math.hypot(dx, dy));
    }
  }
  return most / 1.5; // the longest arrow spans one and a half blocks
}
