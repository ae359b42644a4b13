import { checkFilled } from "./check_data.ts";
import type { ReportData } from "./data.ts";
import type { Examples, Live, LiveJudge } from "./live_data.ts";
import type { ExamplesPayload, JudgePayload, LivePayload } from "./payload.ts";
import { base64, quantise } from "./quantise.ts";

/**
 * What the page computes with of a run whose network it holds.
 *
 * @param run its place among all runs
 * @returns nothing of a run without network or without samples to look at
 * @throws {RangeError} if images or features do not fill their shape, or a number is not finite
 */
export function livePayload({ runs, live }: ReportData, run: number): LivePayload | undefined {
  const checkpoint = live?.checkpoints[run];
  if (!live || checkpoint === undefined || runs[run].trajectories.length === 0) return undefined;
  if (typeof checkpoint === "string") return { notLive: checkpoint };
  const [weaker, examples, judge] = [live.weaker?.[run], live.examples?.[run], live.judges?.[run]];
  return {
    ...weaker && { awayFromEarly: weaker.guidance },
    ...examples && { examples: examplesPayload(examples) },
    ...judge && { judge: judgePayload(judge, scriptOf(live, judge)) },
  };
}

function examplesPayload({ shape, image, labels, classNames }: Examples): ExamplesPayload {
  checkFilled("test images", shape, image.length);
  if (labels && labels.length !== shape[0]) checkFilled("labels of test images", [shape[0]], labels.length);
  return {
    shape,
    image: base64(Uint8Array.from(image, (pixel) => Math.round(255 * pixel))),
    ...labels && { labels: Array.from(labels) },
    ...classNames && { classNames },
  };
}

function judgePayload(
  { reference: { values, rows, width } }: LiveJudge,
  script: number,
): JudgePayload {
  checkFilled("features of test images", [rows, width], values.length);
  return { script, reference: quantise(values, 16), rows, width };
}

/** The different judges of a report, each of which the page holds once. */
export function judgesOf({ checkpoints, judges = [] }: Live): Uint8Array[] {
  const all = judges.flatMap((judge, run) =>
    typeof checkpoints[run] === "string" ? [] : judge?.weights ?? []
  );
  return all.filter((bytes, i) => all.findIndex((other) => sameBytes(bytes, other)) === i);
}

function scriptOf(live: Live, { weights }: LiveJudge): number {
  return judgesOf(live).findIndex((bytes) => sameBytes(bytes, weights));
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
