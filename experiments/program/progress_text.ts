/** How far a task has come. */
export interface Progress {
  /** Steps done. */
  readonly step: number;
  /** The step at which the task ends; 0 if unknown. */
  readonly totalSteps: number;
  readonly elapsedSeconds: number;
  /** 0 until known. */
  readonly stepsPerSecond: number;
  readonly imagesPerStep: number;
  /** What the rate counts, such as images. */
  readonly unit: string;
  readonly loss: number | undefined;
}

/**
 * Progress in one line, e.g. `██████░░░░ 1200/2000  812 images/s  loss 0.1923  1:35 elapsed  1:03 left`.
 *
 * @param width maximum number of characters; the bar takes up to 40 of those that the numbers leave, if any
 */
export function progressLine(progress: Progress, width: number): string {
  return barredLine(progressText(progress), shareDone(progress), width);
}

/** A text behind a bar, filled to a share of it, that takes up to 40 of the characters that the text leaves. */
export function barredLine(text: string, share: number, width: number): string {
  const cells = Math.min(40, width - text.length - 1);
  if (cells < 5) return text.slice(0, width);
  const full = Math.floor(share * cells);
  return "█".repeat(full) + "░".repeat(cells - full) + " " + text;
}

/** The numbers of a progress line. */
export function progressText(progress: Progress): string {
  const { step, totalSteps, stepsPerSecond, imagesPerStep, unit, loss, elapsedSeconds } = progress;
  const rate = stepsPerSecond * imagesPerStep;
  const left = secondsLeft(progress);
  return [
    totalSteps > 0 ? `${String(step).padStart(String(totalSteps).length)}/${totalSteps}` : `${step} steps`,
    ...(rate > 0 ? [`${rate.toFixed(rate < 100 ? 1 : 0)} ${unit}/s`] : []),
    ...(loss === undefined ? [] : [`loss ${loss.toFixed(4)}`]),
    `${clock(elapsedSeconds)} elapsed`,
    ...(left === undefined ? [] : [`${clock(left)} left`]),
  ].join("  ");
}

/** Seconds until the last step at the current rate; undefined if unknown. */
function secondsLeft({ step, totalSteps, stepsPerSecond }: Progress): number | undefined {
  if (totalSteps === 0) return undefined;
  if (step >= totalSteps) return 0;
  return stepsPerSecond > 0 ? (totalSteps - step) / stepsPerSecond : undefined;
}

/** Share of the steps done. */
function shareDone({ step, totalSteps }: Progress): number {
  return totalSteps > 0 ? Math.min(1, step / totalSteps) : 0;
}

/** Seconds as `4:05` or `1:02:05`. */
export function clock(seconds: number): string {
  const whole = Math.round(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const ending = String(whole % 60).padStart(2, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${ending}` : `${minutes}:${ending}`;
}
