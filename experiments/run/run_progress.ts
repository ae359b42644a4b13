import {
  anyNumber,
  count,
  fieldProblem,
  fieldsOf,
  finiteNumber,
  listOf,
  optionalField,
  tableOf,
  textField,
} from "./field_checks.ts";
import { finite, withNonFinite } from "./metrics_log.ts";

/** The latest steps of a run, for log lines that average several. */
export interface RecentSteps {
  readonly losses: readonly number[];
  readonly gradientNorms: readonly number[];
  /** How many of the latest steps are not in a log line yet. */
  readonly open: number;
}

/** The state of a run apart from its tensors, needed to resume it exactly. */
export interface RunProgress {
  readonly step: number;
  /** Seconds of training so far, in all sessions of the run. */
  readonly elapsedSeconds: number;
  /** Lowest validation loss; null before the first. */
  readonly bestValLoss: number | null;
  /** Step of the latest validation; 0 before the first. */
  readonly validatedStep: number;
  /** State of the learning-rate schedule. */
  readonly schedule: Record<string, number>;
  /** The latest steps, including those not in `metrics.jsonl` yet. */
  readonly recentSteps: RecentSteps;
  /** Digest of the training images. */
  readonly dataDigest: string;
  /** Digest of the labels, in a conditional run. */
  readonly labelDigest?: string | null;
}

const checks = {
  step: count,
  elapsedSeconds: {
    ...finiteNumber,
    accepts: (value: unknown) => Number.isFinite(value) && Number(value) >= 0,
  },
  bestValLoss: optionalField(finiteNumber),
  validatedStep: count,
  schedule: tableOf(anyNumber),
  recentSteps: fieldsOf({ losses: listOf(finiteNumber), gradientNorms: listOf(anyNumber), open: count }),
  dataDigest: textField,
  labelDigest: optionalField(textField),
};

/** Progress as a line of JSON, in which NaN and infinities are strings. */
export function encodeProgress(progress: RunProgress): string {
  return JSON.stringify(progress, finite);
}

/**
 * Parses progress from JSON.
 *
 * @returns the progress, or a description of what is wrong with it
 */
export function decodeProgress(json = "null"): RunProgress | string {
  try {
    const progress = Object(JSON.parse(json, withNonFinite));
    return fieldProblem(progress, checks) ?? progress;
  } catch {
    return "it is not JSON";
  }
}
