/**
 * What a page uses of the library that it samples with. The page knows no more of it than this, so that `viz` imports
 * nothing; a test sees to it that `web/mod.ts` offers it.
 */
export interface Library<Model, Tensor extends Values, Solver extends string> {
  /** Opens a device and makes it the one in use; throws if there is none. */
  init(): Promise<{ readonly kind: string; readonly description: string }>;
  /** Makes the network of a checkpoint; a sample is [C, H, W], `range` holds the values of black and white. */
  loadCheckpoint(bytes: Uint8Array, source: string): {
    readonly model: Model;
    readonly shape: readonly [C: number, H: number, W: number];
    readonly range: readonly [black: number, white: number];
  };
  /** Noise of a seed. */
  noise(seed: number, shape: readonly number[]): Tensor;
  /** Numbers on the device. */
  tensor(values: Float32Array, shape: readonly number[]): Tensor;
  /** Follows flows in recorded steps. */
  readonly Sampler: new (
    model: Model,
    shape: readonly number[],
    options: { readonly steps: number; readonly solver: Solver },
  ) => {
    trajectory(
      x: Tensor,
      options: { readonly first: number; readonly ahead: number },
    ): AsyncIterable<{ readonly image: Float32Array; readonly velocity?: Float32Array }>;
  };
  /** The solvers by name; `c` has an entry for each evaluation of a step. */
  readonly solvers: Readonly<Record<Solver, { readonly c: readonly number[] }>>;
}

/** Numbers that can be read back. */
export interface Values {
  /** Copies them to the host. */
  read(): Promise<Float32Array>;
}
