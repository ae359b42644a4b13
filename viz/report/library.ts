import type { JudgingLibrary } from "./judging_library.ts";

/** An affine map from pixels to what a network sees. */
export interface PixelMap {
  /** Not 0. */
  readonly scale: number;
  /** What the network sees of a black pixel. */
  readonly shift: number;
}

/** A state on the way from noise to data; the last one has no velocity. */
export interface LibrarySnapshot {
  /** In [0, 1]. */
  readonly t: number;
  /** x at t, f32[N, C, H, W]. */
  readonly image: Float32Array;
  /** v(x, t), f32[N, C, H, W]. */
  readonly velocity?: Float32Array;
}

/** A step that a solver with steps of its own tried. */
export interface TriedStep {
  /** Where it began. */
  readonly t: number;
  /** Its length. */
  readonly dt: number;
  /** Its estimated error, as a multiple of what is allowed. */
  readonly ratio: number;
  /** Whether it was taken. */
  readonly accepted: boolean;
}

/**
 * What a page uses of the library that it samples with. The page knows no more of it than this, so that `viz` imports
 * nothing; a test checks that `web/mod.ts` offers it.
 */
export interface Library<
  Model,
  Tensor extends Values,
  Solver extends string,
  Adaptive extends string,
  Grid extends string,
> extends JudgingLibrary<Model, Tensor> {
  /** Opens a device and makes it the one in use; throws if there is none. */
  init(): Promise<{ readonly kind: string; readonly description: string }>;
  /** Makes the network of a checkpoint; a sample is [C, H, W]. */
  loadCheckpoint(bytes: Uint8Array, source: string): {
    readonly model: Model;
    readonly shape: readonly [C: number, H: number, W: number];
    readonly info: { readonly normalization: PixelMap; readonly config: { readonly classes?: number } };
  };
  /** Maps what the network sees to pixels. */
  toPixels(values: Float32Array, normalization: PixelMap): Float32Array;
  /** Maps pixels to what the network sees. */
  fromPixels(pixels: Float32Array, normalization: PixelMap): Float32Array;
  /** Maps a snapshot to pixels and pixels per unit of t. */
  snapshotToPixels(snapshot: LibrarySnapshot, normalization: PixelMap): LibrarySnapshot;
  /** Noise of a seed. */
  noise(seed: number, shape: readonly number[]): Tensor;
  /** Numbers on the device. */
  tensor(values: Float32Array | Uint32Array, shape: readonly number[]): Tensor;
  /** A network that is guided by its labels; `none` is the label that stands for none. */
  guided(model: Model, options: { readonly scale: Tensor; readonly none: number }): Model;
  /** A network that is guided away from a weaker one. */
  autoguided(model: Model, weaker: Model, scale: number): Model;
  /** Follows flows in recorded steps: equal ones, or between given times. */
  readonly Sampler: new (
    model: Model,
    shape: readonly number[],
    options: {
      readonly steps?: number;
      readonly times?: readonly number[];
      readonly solver: Solver;
      readonly condition?: Tensor;
    },
  ) => {
    trajectory(
      x: Tensor,
      options: { readonly first: number; readonly ahead: number },
    ): AsyncIterable<LibrarySnapshot>;
    /** How often the network was asked for velocities so far. */
    readonly evaluations: number;
  };
  /** Follows flows in steps of their own, to a tolerance. */
  readonly AdaptiveSampler: new (
    model: Model,
    shape: readonly number[],
    options: {
      readonly solver: Adaptive;
      readonly rtol: number;
      readonly atol: number;
      readonly condition?: Tensor;
    },
  ) => {
    run(
      x: Tensor,
      options: {
        readonly from: number;
        readonly snapshots: readonly number[];
        readonly onProgress: () => Promise<void>;
      },
    ): Promise<
      { readonly snapshots: readonly LibrarySnapshot[]; readonly steps: readonly (readonly TriedStep[])[] }
    >;
    /** How often the network was asked for velocities so far. */
    readonly evaluations: number;
  };
  /** The solvers by name; the page only shows the names. */
  readonly solvers: Readonly<Record<Solver, object>>;
  /** Those that can choose their own steps. */
  readonly adaptiveSolvers: Readonly<Record<Adaptive, object>>;
  /** The grids of times by name; the page only shows the names. */
  readonly timeGrids: Readonly<Record<Grid, object>>;
  /** The ends of steps on a grid, from 0 to 1. */
  gridTimes(steps: number, grid: Grid): readonly number[];
}

/** Numbers on the device. */
export interface Values {
  /** Overwrites them. */
  write(values: Float32Array | Uint32Array): void;
  /** Copies them to the host. */
  read(): Promise<Float32Array>;
}
