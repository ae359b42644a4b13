import { decodeSafetensors, type HostTensor } from "../../models/mod.ts";
import { RunError } from "./atomic_write.ts";
import type { FieldCheck } from "./field_checks.ts";

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
