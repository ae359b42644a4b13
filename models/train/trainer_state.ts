import { isCount } from "../../kernels/core/checks.ts";
import { decodeSafetensors, encodeSafetensors } from "../files/safetensors.ts";
import { checkFinite, type State, StateError } from "../nn/state.ts";

/** The state of training, in host memory. */
export interface TrainerState {
  /** Steps taken. */
  readonly step: number;
  /** The parameters by name. */
  readonly parameters: State;
  /** Moments of the optimizer, named `<moment>.<parameter>`. */
  readonly optimizer: State;
  /** The averaged parameters, if any. */
  readonly ema?: State;
}

/** The tensors of a state in one map: parameters as `p.<name>`, moments as `o.<name>`, averages as `e.<name>`. */
export function stateTensors({ parameters, optimizer, ema = new Map() }: TrainerState): State {
  const named = (prefix: string, part: State) =>
    Array.from(part, ([name, value]) => [`${prefix}.${name}`, value] as const);
  return new Map([...named("p", parameters), ...named("o", optimizer), ...named("e", ema)]);
}

/** The state after a step, from its tensors in one map, see {@linkcode stateTensors}; other tensors are left out. */
export function trainerStateOf(tensors: State, step: number): TrainerState {
  const part = (prefix: string): State =>
    new Map(
      [...tensors].flatMap(([name, value]) => name.startsWith(`${prefix}.`) ? [[name.slice(2), value]] : []),
    );
  return { step, parameters: part("p"), optimizer: part("o"), ema: part("e") };
}

/** What a state file holds besides the state. */
export interface StateExtras {
  /** Other tensors; their names begin with none of `p.`, `o.` and `e.`. */
  readonly tensors?: State;
  /** Texts by name. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Encodes the state of a trainer as a safetensors file, for {@linkcode decodeTrainerState}. */
export function encodeTrainerState(
  state: TrainerState,
  { tensors = new Map(), metadata = {} }: StateExtras = {},
): Uint8Array<ArrayBuffer> {
  return encodeSafetensors(new Map([...stateTensors(state), ...tensors]), {
    ...metadata,
    step: `${state.step}`,
  });
}

/**
 * Reads the state of a trainer, for `Trainer.restore()`. Needs no device.
 *
 * @param bytes what `encodeTrainerState` or `FitProgress.state` made
 * @param source origin of the bytes, for messages
 * @throws {SafetensorsError} if the bytes are not a safetensors file
 * @throws {StateError} if it is not the state of a trainer, or has values that are not finite
 */
export function decodeTrainerState(
  bytes: Uint8Array,
  source: string,
): { readonly state: TrainerState; readonly extras: Required<StateExtras> } {
  const { tensors, metadata } = decodeSafetensors(bytes, source);
  const step = /^\d+$/.test(metadata.step) ? Number(metadata.step) : undefined;
  if (!isCount(step)) {
    throw new StateError(
      `Cannot load ${source}: it does not hold a training state (expected the result of encodeTrainerState() or ` +
        "progress.state())",
    );
  }
  checkFinite(tensors, source);
  const rest = new Map([...tensors].filter(([name]) => !/^[poe]\./.test(name)));
  return { state: trainerStateOf(tensors, step), extras: { tensors: rest, metadata } };
}
