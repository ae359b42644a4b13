import {
  anyNumber,
  check,
  type Checked,
  count,
  fieldProblem,
  fieldsOf,
  finiteNumber,
  ifGiven,
  listOf,
  orNull,
  tableOf,
  textField,
} from "./field_checks.ts";
import { finite, withNonFinite } from "./metrics_log.ts";

const recentSteps = fieldsOf({
  losses: listOf(finiteNumber),
  gradientNorms: listOf(anyNumber),
  /** How many of the latest steps are not in a log line yet. */
  open: count,
});

const checks = {
  step: count,
  /** Seconds of training so far, in all sessions of the run. */
  elapsedSeconds: check<number>(
    "a number of at least 0",
    (value) => Number.isFinite(value) && Number(value) >= 0,
  ),
  /** Lowest validation loss; null before the first. */
  bestValLoss: ifGiven(orNull(finiteNumber)),
  /** Step of the latest validation; 0 before the first. */
  validatedStep: count,
  /** State of the learning-rate schedule. */
  schedule: tableOf(anyNumber),
  recentSteps,
  /** Digest of the training images. */
  dataDigest: textField,
  /** Digest of the labels, in a conditional run. */
  labelDigest: ifGiven(orNull(textField)),
};
const progress = fieldsOf(checks);

/** The latest steps of a run, for log lines that average several. */
export type RecentSteps = Checked<typeof recentSteps>;

/** The state of a run apart from its tensors, needed to resume it exactly. */
export type RunProgress = Checked<typeof progress>;

/** Progress as a line of JSON, in which NaN and infinities are strings. */
export function encodeProgress(progress: RunProgress): string {
  return JSON.stringify(progress, finite);
}

/** Parses progress from JSON; returns it, or a description of what is wrong with it. */
export function decodeProgress(json = "null"): RunProgress | string {
  try {
    const progress = Object(JSON.parse(json, withNonFinite));
    return fieldProblem(progress, checks) ?? progress;
  } catch {
    return "it is not JSON";
  }
}
