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

/** Finds the weights of a run to draw from, and their size in bytes; undefined if there are none. */
export function findWeights(run: string, among: readonly string[] = names) {
  for (const name of among) {
    const path = join(run, name);
    const file = findContained(path);
    if (file) return { path, size: file.size };
  }
}

/** Whether a word names a file; a word with the ending of weights always does. */
export function isFile(word: string): boolean {
  if (word.endsWith(".safetensors")) return true;
  try {
    return Deno.statSync(word).isFile;
  } catch {
    return false;
  }
}

/** Finds the early weights of a run, see `autoguided`; undefined if it has none. */
export function findEarlyWeights(run: string) {
  return findWeights(run, [runFile.early]);
}

/** Weights that a setting names. */
export interface GivenWeights {
  readonly path: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly tensors: State;
  readonly info: CheckpointInfo & { readonly config: CompleteOptions };
}

function attempt<Result>(doing: string, path: string, read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    throw new RunError(`Cannot ${doing} ${path}: ${reasonOf(error)}`);
  }
}

/** The file of weights that a setting names: itself, or the averaged weights of a run. @param doing such as `distil` */
export function weightsPath(source: string, doing: string): string {
  if (attempt(doing, source, () => Deno.statSync(source)).isFile) return source;
  const weights = findWeights(source);
  if (weights) return weights.path;
  throw new RunError(`Cannot ${doing} ${source}: ${noWeights}`);
}

/** Reads the weights that a setting names. Needs no device. */
export function readGivenWeights(source: string, doing: string): GivenWeights {
  const path = weightsPath(source, doing);
  const bytes = attempt(doing, path, () => Deno.readFileSync(path));
  const { tensors, info } = decodeCheckpoint(bytes, path);
  return { path, bytes, tensors, info: { ...info, config: info.config as CompleteOptions } }; // it fills in the defaults
}

/** The network that a distillation starts from. */
export interface Teacher extends Checkpoint {
  /** Its file, to keep a copy in the run's folder. */
  readonly bytes: Uint8Array;
  readonly path: string;
}

/** Describes the network in a teacher's file. */
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

  /** Decodes a file. @param advice what to do with an unusable one */
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
