import { join } from "node:path";
import {
  type Checkpoint,
  type CheckpointInfo,
  type CompleteOptions,
  decodeCheckpoint,
  decodeSafetensors,
  guided,
  type HostTensor,
  noneOf,
  SafetensorsError,
  type State,
  type VelocityField,
} from "../../models/mod.ts";
import type { FieldCheck } from "./field_checks.ts";
import { runFile } from "./files.ts";
import { decodeProgress, lastStep, readMetrics } from "./metrics_log.ts";
import { findContained, readIfThere, reasonOf, RunError } from "./run_folder.ts";

/** Weights in order of preference: averaged if the run keeps an average, else last. */
const names = [runFile.ema, runFile.last];

/** Why a run without weights cannot be used, for messages. */
export const noWeights = `it has no ${names.join(" or ")}`;

/** A checkpoint and its size in bytes. */
export interface RunWeights {
  readonly path: string;
  readonly size: number;
}

/**
 * Finds the weights of a run to draw from.
 *
 * @returns undefined if there are none
 * @throws {RunError} if the folder cannot be read, or a link in it leads out of it
 */
export function findWeights(run: string): RunWeights | undefined {
  for (const name of names) {
    const weights = find(run, name);
    if (weights) return weights;
  }
  return undefined;
}

/** Finds the early weights of a run, see `autoguided`; undefined if it has none. @throws as {@linkcode findWeights} */
export function findEarlyWeights(run: string): RunWeights | undefined {
  return find(run, runFile.early);
}

function find(run: string, name: string): RunWeights | undefined {
  const path = join(run, name);
  const file = findContained(path);
  return file && { path, size: file.size };
}

/** Weights that a setting names. */
export interface GivenWeights {
  readonly path: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly tensors: State;
  readonly info: CheckpointInfo & { readonly config: CompleteOptions };
}

/**
 * The file of weights that a setting names: the file itself, or the averaged weights of a run.
 *
 * @param doing for the error, such as `distil`
 * @throws {RunError} if there is none
 */
export function weightsPath(source: string, doing: string): string {
  try {
    if (Deno.statSync(source).isFile) return source;
  } catch (error) {
    throw new RunError(`Cannot ${doing} ${source}: ${reasonOf(error)}`);
  }
  const weights = findWeights(source);
  if (weights) return weights.path;
  throw new RunError(`Cannot ${doing} ${source}: ${noWeights}`);
}

/**
 * Reads the weights that a setting names. Needs no device.
 *
 * @throws {RunError} if they cannot be read
 * @throws as `decodeCheckpoint`
 */
export function readGivenWeights(source: string, doing: string): GivenWeights {
  const path = weightsPath(source, doing);
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = Deno.readFileSync(path);
  } catch (error) {
    throw new RunError(`Cannot ${doing} ${path}: ${reasonOf(error)}`);
  }
  const { tensors, info } = decodeCheckpoint(bytes, path);
  return { path, bytes, tensors, info: { ...info, config: info.config as CompleteOptions } }; // it fills in the defaults
}

/** The network that a distillation starts from. */
export interface Teacher extends Checkpoint {
  /** Its file, to keep a copy in the run's folder. */
  readonly bytes: Uint8Array;
  readonly path: string;
}

/** The file of a teacher's weights: the file itself, or the averaged weights of a run. */
export function teacherFile(teacher: string): string {
  return weightsPath(teacher, "distil");
}

/** Describes the network in a teacher's file. @throws {RunError} if it cannot be distilled */
export function teacherInfo(teacher: string): GivenWeights["info"] & { readonly path: string } {
  const { path, info } = readGivenWeights(teacher, "distil");
  const { prediction } = info.config;
  if (prediction !== "velocity") {
    throw new RunError(`Cannot distil ${path}: its network predicts ${prediction} (expected the velocity)`);
  }
  return { ...info, path };
}

/** The velocity to imitate: guided by class, if the teacher has classes. */
export function taughtField({ model, info }: Teacher, guidance: number): VelocityField {
  return (info.config.classes ?? 0) > 0 ? guided(model, { scale: guidance, none: noneOf(model) }) : model;
}

/** Shapes of tensors by name. */
type Shapes<Name extends string> = Readonly<Record<Name, readonly number[]>>;

/** Tensors of these shapes, for `encodeSafetensors`; their values become f32. */
export function tensorsOf<Name extends string>(
  shapes: Shapes<Name>,
  values: Readonly<Record<NoInfer<Name>, ArrayLike<number>>>,
): Map<string, HostTensor> {
  return new Map(
    Object.entries<readonly number[]>(shapes).map(([name, shape]) => [
      name,
      { shape, data: Float32Array.from(values[name as Name]) },
    ]),
  );
}

/** The named tensors of a file in a run folder, which may come from anyone: reading a tensor checks it. */
export class TensorFile {
  readonly metadata: Readonly<Record<string, string>>;
  readonly #tensors: ReturnType<typeof decodeSafetensors>["tensors"];

  /**
   * Decodes a file.
   *
   * @param path for messages
   * @param advice what to do with an unusable file
   */
  constructor(bytes: Uint8Array, readonly path: string, readonly advice: string) {
    ({ tensors: this.#tensors, metadata: this.metadata } = decodeSafetensors(bytes, path));
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  /** The shape of a tensor; empty if it is missing. */
  shapeOf(name: string): readonly number[] {
    return this.#tensors.get(name)?.shape ?? [];
  }

  /** The values of a tensor. @throws {RunError} if it is missing, has another shape, or is not finite */
  read(name: string, ...shape: readonly number[]): Float32Array {
    const tensor = this.#tensors.get(name);
    if (!tensor || `${tensor.shape}` !== `${shape}`) {
      throw this.mismatch(name, `f32[${shape}]`);
    }
    if (!tensor.data.every(Number.isFinite)) throw this.error(`${name} holds NaN or infinities`);
    return tensor.data;
  }

  /** The values of several tensors, as {@linkcode read} checks them. */
  readAll<Name extends string>(shapes: Shapes<Name>): Record<Name, Float32Array> {
    const names = Object.keys(shapes) as Name[];
    const read = names.map((name) => [name, this.read(name, ...shapes[name])]);
    return Object.fromEntries(read) as Record<Name, Float32Array>;
  }

  /** Labels, u32[length]. @throws {RunError} if they are not whole numbers from 0 to 255 */
  labels(name: string, length: number): Uint32Array {
    const values = this.read(name, length);
    if (values.every((label) => Number.isInteger(label) && label >= 0 && label <= 255)) {
      return Uint32Array.from(values);
    }
    throw this.error(`${name} is not a list of labels (expected whole numbers from 0 to 255)`);
  }

  /** A value that the metadata holds as JSON. @throws {RunError} if it is missing or of another type */
  field<Value>(name: string, { expected, accepts }: FieldCheck<Value>): Value {
    try {
      const value: unknown = JSON.parse(this.metadata[name]);
      if (accepts(value)) return value;
    } catch { /* missing, or not JSON */ }
    throw this.error(`its metadata has no ${name} (expected ${expected})`);
  }

  /** An error for a tensor of the wrong shape. */
  mismatch(name: string, expected: string): RunError {
    const actual = this.has(name) ? `f32[${this.shapeOf(name)}]` : "missing";
    return this.error(`${name} is ${actual} (expected ${expected})`);
  }

  /** An error that names the file and gives advice. */
  error(problem: string): RunError {
    return new RunError(`Cannot read ${this.path}: ${problem}; ${this.advice}`);
  }
}

/**
 * The step of a run's weights. The log of a killed run may have later steps. If it was killed between writing its
 * weights and its state, this is the step of the previous checkpoint.
 */
export async function stepOfWeights(run: string, status: string): Promise<number> {
  const saved = status === "FINISHED" ? undefined : await savedStep(run);
  return saved ?? lastStep(await readMetrics(join(run, runFile.metrics)));
}

/** The step of a run's saved state; undefined if the state is missing or damaged. */
async function savedStep(run: string): Promise<number | undefined> {
  const path = join(run, runFile.state);
  const bytes = await readIfThere(path);
  if (bytes === undefined) return undefined;
  try {
    const progress = decodeProgress(decodeSafetensors(bytes, path).metadata.progress);
    return typeof progress === "string" ? undefined : progress.step;
  } catch (error) {
    if (error instanceof SafetensorsError) return undefined;
    throw error;
  }
}
