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

/** The latest steps of a run, for lines of the metrics log that average several. */
export interface RecentSteps {
  readonly losses: readonly number[];
  readonly gradientNorms: readonly number[];
  /** How many of the last ones are in no line yet. */
  readonly open: number;
}

/** The state of a run besides weights, moments and averages, to resume it exactly. */
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
  /** The latest steps, some of which are not in `metrics.jsonl` yet. */
  readonly recentSteps: RecentSteps;
  /** Digest of the training images. */
  readonly dataDigest: string;
  /** Digest of the labels that a conditional run learns from. */
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
 * Progress from JSON.
 *
 * @returns what is wrong with it, in words, if something is
 */
export function decodeProgress(json = "null"): RunProgress | string {
  try {
    const progress = Object(JSON.parse(json, withNonFinite));
    return fieldProblem(progress, checks) ?? progress;
  } catch {
    return "it is not JSON";
  }
}
