import {
  type BatchOrder,
  createSchedule,
  progressAt,
  type Schedule,
  scheduleSettings,
} from "../../models/mod.ts";
import { formatTime } from "../cli/output.ts";
import { TrainingError } from "../cli/task.ts";
import type { RunProgress } from "../run/metrics_log.ts";
import {
  type Replan,
  type ResumedStart,
  type RunConfig,
  type RunLength,
  stagesOf,
} from "../settings/run_config.ts";
import { type PlannedStage, stageAt } from "../settings/stages.ts";

/** The learning-rate schedule of a configuration. */
export function scheduleOf(
  { schedule, lr, warmUp: warmup, plateauFactor: factor, plateauPatience: patience }: RunConfig,
): Schedule {
  const names = scheduleSettings(schedule);
  const settings = Object.entries({ warmup, factor, patience }).filter(([name]) => names.includes(name));
  return createSchedule(schedule, lr, Object.fromEntries(settings));
}

/** Share of a limit in minutes, and at most so many seconds, before the first estimate of the number of steps. */
const first = { share: 0.05, seconds: 3 } as const;
/** Factor of the time between two estimates. */
const later = 1.5;
/** Share of the time after which there are no estimates. */
const lastShare = 1 / 3;
/** Smallest relative change of the number of steps that is worth making. */
const smallest = 0.01;
/** Share of a limit in minutes by which a run may miss it without a word. */
const tolerance = 0.1;

/**
 * The length of a run and its learning rate at each step. A limit in minutes becomes a number of steps while the run
 * trains: estimated early, then corrected until a third of the time is over. The setting `replans` keeps each estimate
 * with its step, so the same run can be resumed and repeated to the bit.
 */
export class RunSchedule {
  /** The stages of a distillation; each has the whole schedule. */
  readonly stages: readonly PlannedStage[] | undefined;
  readonly #rates: Schedule;
  /** Steps after which the length changed, with the length from then on. */
  readonly #replans: Replan[];
  /** When steps ended, for the rate. */
  readonly #marks: { readonly step: number; readonly seconds: number }[] = [];
  #maxSteps: number;
  #isOpen: boolean;
  #dueSeconds = 0;

  constructor(readonly config: RunConfig, readonly order: BatchOrder) {
    const { epochs, steps, minutes, replans } = config.length;
    this.stages = stagesOf(config);
    this.#rates = scheduleOf(config);
    this.#maxSteps = Math.min(
      epochs > 0 ? order.stepsFor(epochs) : Infinity,
      steps > 0 ? steps : Infinity,
    );
    this.#replans = [...replans];
    this.#isOpen = minutes > 0;
  }

  /** Steps of the run; Infinity while only minutes limit it. */
  get totalSteps(): number {
    return Math.min(this.#maxSteps, this.#replans.at(-1)?.totalSteps ?? Infinity);
  }

  /** Its first estimate, which decides how often the run is validated. */
  get plannedSteps(): number {
    return Math.min(this.#maxSteps, this.#replans[0]?.totalSteps ?? Infinity);
  }

  /** The step at which a share of the run is over, as far as its length was known then; Infinity while it is not. */
  stepAfter(share: number): number {
    if (this.#replans.length === 0) return this.#isOpen ? Infinity : Math.ceil(this.totalSteps * share);
    const steps = this.#replans.map(({ step, totalSteps }) =>
      Math.max(step + 1, Math.ceil(totalSteps * share))
    );
    return steps.find((step, i) => step <= (this.#replans[i + 1]?.step ?? Infinity))!;
  }

  /** The length that repeats this one. */
  get length(): RunLength {
    const { length } = this.config;
    if (length.minutes === 0) return length;
    const replans = [...this.#replans];
    return this.#isOpen ? { ...length, replans } : { ...length, replans, steps: this.totalSteps, minutes: 0 };
  }

  /** Fixes the length, once the run has ended. Returns a message if a limit in minutes was missed by more than a tenth. */
  end(seconds: number): string | undefined {
    this.#isOpen = false;
    const limit = this.config.length.minutes * 60;
    const isMissed = this.totalSteps < this.#maxSteps && Math.abs(seconds - limit) > tolerance * limit;
    return isMissed
      ? `Trained for ${formatTime(seconds)} instead of ${formatTime(limit)}: the speed changed on the way`
      : undefined;
  }

  learningRate(step: number): number {
    if (!this.stages) return this.#rates.learningRate(this.#progress(step));
    const { from, steps, settings } = stageAt(this.stages, step);
    return this.#rates.learningRate(progressAt(step - from, steps)) * settings.rate;
  }

  observe(loss: number): void {
    this.#rates.observe?.(loss);
  }

  get state(): Record<string, number> {
    return this.#rates.state?.() ?? {};
  }

  /** From 0 at the first step to 1 at the last; each estimate spreads the rest over the steps that are left. */
  #progress(step: number): number {
    if (this.#replans.length === 0) return this.#isOpen ? 0 : progressAt(step, this.totalSteps);
    let done = 0;
    for (const [i, { step: from, totalSteps }] of this.#replans.entries()) {
      const to = Math.min(step, this.#replans[i + 1]?.step ?? Infinity);
      if (to > from) done += (1 - done) * Math.min((to - from) / Math.max(totalSteps - 1 - from, 1), 1);
    }
    return done;
  }

  /**
   * Restores the state of a resumed run, unless it has another rate or schedule than before. The learning rate moves by
   * more than 1 % only if the user has set it.
   *
   * @returns how the rate moves, if it does
   * @throws {TrainingError} if a new length or schedule would move it
   */
  resume(
    { run, earlier, setsRate }: ResumedStart,
    { step, schedule, elapsedSeconds }: RunProgress,
  ): string | undefined {
    const { schedule: name, lr, length: { minutes } } = this.config;
    if (minutes > 0 && elapsedSeconds >= minutes * 60) this.#maxSteps = Math.min(this.#maxSteps, step);
    const before = new RunSchedule(earlier, this.order);
    const isSameRate = earlier.schedule === name && earlier.lr === lr;
    if (isSameRate) this.#rates.restore?.(schedule);
    const isSameLength = before.totalSteps === this.totalSteps && earlier.length.minutes === minutes;
    if ((isSameRate && isSameLength) || step === 0 || step >= this.totalSteps) return;

    before.#rates.restore?.(schedule);
    const isFixed = this.totalSteps < Infinity;
    const rate = before.#rates.learningRate(before.#progress(step));
    const next = this.#rates.learningRate(isFixed ? this.#progress(step) : 0.5); // the length is not known yet
    if (Math.abs(next - rate) <= 0.01 * rate) return;
    const move = `from ${rate.toPrecision(3)}${isFixed ? ` to ${next.toPrecision(3)}` : ""}`;
    if (setsRate) return `--lr moves the learning rate ${move}`;
    const why = earlier.schedule === name
      ? `its schedule ${name} is laid out for ${before.totalSteps} steps`
      : `it had the schedule ${earlier.schedule}`;
    throw new TrainingError(
      `Cannot resume ${run} for ${isFixed ? `${this.totalSteps} steps` : `${minutes} minutes`}: ${why}, ` +
        `so the learning rate would jump ${move} ` +
        `(expected --lr ${rate.toPrecision(3)}, which goes on with a constant rate)`,
    );
  }

  /**
   * Estimates the length of a run that is limited by minutes from the rate of its latest steps; the first call is at the
   * start of a session. Returns whether `length` has changed.
   */
  follow(step: number, seconds: number): boolean {
    if (!this.#isOpen) return false;
    const limit = this.config.length.minutes * 60;
    this.#marks.push({ step, seconds });
    const [{ seconds: begin }] = this.#marks;
    if (this.#marks.length === 1) this.#dueSeconds = begin + Math.min(first.share * limit, first.seconds);
    const isLast = seconds >= lastShare * limit;
    if (!isLast && seconds < this.#dueSeconds && step < this.totalSteps) return false;
    // In the first half of the time, kernels were not optimised yet.
    const from = this.#marks.findLast((mark) => mark.seconds <= (begin + seconds) / 2)!;
    if (step <= Math.max(from.step, this.#replans.at(-1)?.step ?? 0)) return false;
    const rate = (step - from.step) / (seconds - from.seconds);
    const totalSteps = Math.min(this.#maxSteps, step + Math.max(0, Math.floor((limit - seconds) * rate)));
    const isChanged = this.#replans.length === 0 ||
      Math.abs(totalSteps / this.totalSteps - 1) > smallest;
    if (isChanged) this.#replans.push({ step, totalSteps });
    this.#isOpen = !isLast;
    this.#dueSeconds = seconds * later;
    return isChanged || isLast;
  }
}
