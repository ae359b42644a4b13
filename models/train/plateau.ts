import { checkCount } from "../../kernels/core/count.ts";
import { rejectUnknown } from "../nearest.ts";
import { checkRate, warmUp } from "./annealing.ts";
import type { Schedule } from "./schedule.ts";

/** Smallest change of the rate, as in PyTorch. */
const LEAST_CHANGE = 1e-8;

/**
 * A rate that is reduced when the validation loss stops improving, as PyTorch's ReduceLROnPlateau.
 *
 * @param learningRate initial rate
 * @param warmup share of the run with linear warm-up from 0
 * @param factor what a reduction multiplies the rate by
 * @param patience losses without improvement to tolerate
 * @param threshold a loss is better if it is below (1 - threshold) times the best
 * @param cooldown losses to ignore after a reduction
 * @param minimum lower bound of the rate
 * @throws {RangeError} if a rate or `threshold` is not a number of at least 0, `warmup` outside [0, 1) or `factor`
 * outside (0, 1), or a number of losses is not whole
 * @throws {TypeError} if a setting is unknown
 */
export function plateau(
  learningRate: number,
  { warmup = 0, factor = 0.1, patience = 10, threshold = 1e-4, cooldown = 0, minimum = 0, ...others }: {
    warmup?: number;
    factor?: number;
    patience?: number;
    threshold?: number;
    cooldown?: number;
    minimum?: number;
  } = {},
): Required<Schedule> {
  const known = ["warmup", "factor", "patience", "threshold", "cooldown", "minimum"];
  rejectUnknown(others, known, "plateau()");
  for (const [name, value] of Object.entries({ "the learning rate": learningRate, threshold, minimum })) {
    checkRate("make a schedule", name, value);
  }
  if (!(factor > 0 && factor < 1)) {
    throw new RangeError(`Cannot reduce the rate by factor ${factor} (expected 0 < factor < 1)`);
  }
  for (const [name, losses] of Object.entries({ patience, cooldown })) {
    checkCount("reduce the rate", name, losses, 0);
  }
  // The largest finite number, not Infinity: the state must survive JSON.
  let state = { learningRate, best: Number.MAX_VALUE, bad: 0, cooling: 0 };
  return {
    learningRate: warmUp(warmup, () => state.learningRate),
    observe(validationLoss) {
      if (validationLoss < state.best * (1 - threshold)) {
        state.best = validationLoss;
        state.bad = 0;
      } else state.bad++;
      if (state.cooling > 0) {
        state.cooling--;
        state.bad = 0;
      }
      if (state.bad <= patience) return;
      const lower = Math.max(state.learningRate * factor, minimum);
      if (state.learningRate - lower > LEAST_CHANGE) state.learningRate = lower;
      state.cooling = cooldown;
      state.bad = 0;
    },
    state: () => ({ ...state }),
    restore: (saved) => {
      state = { ...state, ...saved };
    },
  };
}
