import { StateError } from "../nn/state.ts";
import type { Schedule } from "./schedule.ts";
import type { Trainer } from "./trainer.ts";
import { decodeTrainerState, encodeTrainerState } from "./trainer_state.ts";

/** Settings that a state depends on: with different ones, training would not continue as it began. */
export interface FitSettings {
  readonly seed: number;
  readonly batchSize: number;
  readonly examples: number;
  readonly optimizer: string;
  readonly ema: number;
}

/** The state of a call of `fit` besides the trainer. */
export interface FitMemory {
  readonly settings: FitSettings;
  /** Loss of each step, with room for all. */
  readonly losses: Float32Array;
  readonly schedule: Schedule;
  validationLoss?: number;
}

/** Encodes the state of a call of `fit` after the trainer's step. */
export async function encodeFit(trainer: Trainer, memory: FitMemory): Promise<Uint8Array<ArrayBuffer>> {
  const { settings, schedule, validationLoss } = memory;
  const losses = memory.losses.slice(0, trainer.step);
  const fit = { settings, schedule: schedule.state?.() ?? {}, validationLoss };
  return encodeTrainerState(await trainer.state(), {
    tensors: new Map([["losses", { shape: [losses.length], data: losses }]]),
    metadata: { fit: JSON.stringify(fit) },
  });
}

/**
 * Restores a trainer and its memory. If refused, nothing changes.
 *
 * @throws {SafetensorsError} if the bytes are not a safetensors file
 * @throws {StateError} if they are not the state of a call of `fit` with these settings, or of another model
 */
export function resumeFit(bytes: Uint8Array, trainer: Trainer, memory: FitMemory): void {
  const source = "the state to resume";
  const refuse = (why: string) => {
    throw new StateError(`Cannot load ${source}: ${why}`);
  };
  const { state, extras: { tensors, metadata } } = decodeTrainerState(bytes, source);
  const { settings = {}, schedule = {}, validationLoss } = Object(parsed(metadata.fit));
  const losses = tensors.get("losses")?.data;
  if (losses?.length !== state.step) {
    return refuse("fit() did not save it (expected the result of progress.state())");
  }
  for (const [name, value] of Object.entries(memory.settings)) {
    if (settings[name] !== value) {
      refuse(`its ${name} is ${settings[name]} (expected ${value}, as in this call)`);
    }
  }
  const most = memory.losses.length;
  if (state.step > most) {
    refuse(`it is at step ${state.step} (expected at most ${most}, the steps of this call)`);
  }
  trainer.restore(state, source);
  memory.schedule.restore?.(schedule);
  memory.losses.set(losses);
  if (typeof validationLoss === "number") memory.validationLoss = validationLoss;
}

function parsed(json = "null"): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}
