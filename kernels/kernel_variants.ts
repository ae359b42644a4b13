import type { Dims, Kernel, Pass, PassBuffer, Tuning, Workgroups } from "./devices/device.ts";
import type { CallPlan } from "./op.ts";
import { type Shape, sizeOf } from "./core/shape.ts";

/** One of several ways to run an op on WebGPU. All give the same results, to rounding. */
export interface KernelVariant {
  /** Unique in its op, and stable: stored choices refer to it. */
  readonly name: string;
  /** Dims to compile into its shader. */
  readonly specialise?: (dims: Dims) => Dims;
  /** Whether it can run a call and is worth timing; by default true. */
  readonly fits?: (dims: Dims) => boolean;
  /** Number of invocations, or the workgroups. */
  readonly grid: (dims: Dims) => number | Workgroups;
  /** WGSL that defines `fn kernel`, from the specialised dims. */
  readonly wgsl: (specialised: Dims) => string;
  /** Buffers that the WGSL declares as `array<vec4f>`; their lengths must be multiples of four. */
  readonly vectors?: (specialised: Dims) => readonly string[];
}

/** A way to run an op as calls of other ops; see `Passes`. */
export interface PassesVariant {
  /** Unique in its op, and stable, as in `KernelVariant`. */
  readonly name: string;
  /** Whether it can run a call. */
  readonly fits: (dims: Dims) => boolean;
  /** Whether it runs calls for which nothing was chosen. */
  readonly isDefault: (dims: Dims, tuning: Tuning) => boolean;
  /** The calls of other ops. */
  readonly passes: (dims: Dims, tuning: Tuning) => readonly Pass[];
}

/**
 * Declaration fields of an op that can run in several variants. A call runs in the one chosen for it, else in the table's.
 *
 * @param table index of the variant to use if none was chosen
 * @param other one more way, made of calls of other ops; without memory for them, the table's variant runs
 */
export function withVariants(
  variants: readonly KernelVariant[],
  table: (dims: Dims, tuning: Tuning) => number,
  other?: PassesVariant,
) {
  const fits = (at: number, dims: Dims) => variants[at].fits?.(dims) ?? true;
  const variantOf = (dims: Dims, tuning: Tuning): number => {
    const chosen = tuning.candidate === undefined
      ? -1
      : variants.findIndex(({ name }) => name === tuning.candidate);
    return chosen >= 0 && fits(chosen, dims) ? chosen : table(dims, tuning);
  };
  const gridOf = (dims: Dims, tuning: Tuning) => variants[variantOf(dims, tuning)].grid(dims);
  const passesRun = (dims: Dims, tuning: Tuning): boolean => {
    if (!other?.fits(dims)) return false;
    if (tuning.candidate === other.name) return true;
    const isChosen = variants.some(({ name }, at) => name === tuning.candidate && fits(at, dims));
    return !isChosen && other.isDefault(dims, tuning);
  };
  return {
    candidates(dims: Dims, tuning: Tuning): readonly string[] {
      const first = table(dims, tuning);
      const alternatives = [...variants.keys()].filter((at) => at !== first && fits(at, dims));
      const names = [first, ...alternatives].map((at) => variants[at].name);
      if (!other?.fits(dims)) return names;
      return other.isDefault(dims, tuning) ? [other.name, ...names] : [...names, other.name];
    },
    ...other && {
      passes: (dims: Dims, tuning: Tuning): readonly Pass[] | undefined =>
        passesRun(dims, tuning) ? other.passes(dims, tuning) : undefined,
    },
    specialise(dims: Dims, tuning: Tuning): Dims {
      const variant = variantOf(dims, tuning);
      return { ...variants[variant].specialise?.(dims), variant };
    },
    invocations(dims: Dims, tuning: Tuning): number {
      const grid = gridOf(dims, tuning);
      return typeof grid === "number" ? grid : grid.count * grid.lanes;
    },
    workgroups(dims: Dims, tuning: Tuning): Workgroups | undefined {
      const grid = gridOf(dims, tuning);
      return typeof grid === "number" ? undefined : grid;
    },
    wgsl: (_: Tuning, specialised: Dims): string => variants[specialised.variant].wgsl(specialised),
    vectors: (specialised: Dims): readonly string[] =>
      variants[specialised.variant].vectors?.(specialised) ?? [],
  };
}

/** A buffer and its shape, handed from pass to pass. */
interface PassValue {
  readonly buffer: PassBuffer;
  readonly shape: Shape;
}

interface PlannedOp {
  readonly kernel: Kernel;
  readonly plan: (shapes: readonly Shape[], attributes: Readonly<Record<string, number>>) => CallPlan;
}

/** Collects the calls of other ops that together do the work of one op. */
export class Passes {
  readonly #passes: Pass[] = [];
  readonly #scratches: number[] = [];

  /** The calls. Scratch buffers are numbered from the largest down, so that ops share as much as possible. */
  get list(): readonly Pass[] {
    const order = [...this.#scratches.keys()].sort((a, b) => this.#scratches[b] - this.#scratches[a]);
    const numbered = (buffer: PassBuffer): PassBuffer =>
      typeof buffer === "string" ? buffer : { ...buffer, scratch: order.indexOf(buffer.scratch) };
    return this.#passes.map((pass) => ({ ...pass, buffers: pass.buffers.map(numbered) }));
  }

  /** A buffer of the whole op, by name. */
  buffer(name: string, shape: Shape): PassValue {
    return { buffer: name, shape };
  }

  /**
   * Adds a call of an op. Its first output is written to the buffer `into` of the whole op, if there is one; all other
   * outputs go to scratch memory.
   *
   * @returns the outputs
   */
  run(
    { kernel, plan }: PlannedOp,
    inputs: readonly PassValue[],
    attributes: Readonly<Record<string, number>>,
    into?: string,
  ): readonly PassValue[] {
    const { dims, outputs } = plan(inputs.map((input) => input.shape), attributes);
    const results = outputs.map((shape, i): PassValue => {
      if (i === 0 && into !== undefined) return { buffer: into, shape };
      return { buffer: { scratch: this.#scratches.push(sizeOf(shape)) - 1, elements: sizeOf(shape) }, shape };
    });
    this.#passes.push({ kernel, dims, buffers: [...inputs, ...results].map(({ buffer }) => buffer) });
    return results;
  }
}
