import type { Dataset } from "../data/dataset.ts";
import type { ImageSource } from "../data/image_source.ts";
import type { Drawable } from "../draw/samples.ts";
import type { files } from "../run/files.ts";
import type { TrainingConfig } from "../cli/training.ts";

/** A run's folder and settings. */
export interface RunFiles {
  readonly run: string;
  readonly config: TrainingConfig;
}

/** A run with its trained network and data. */
export interface TrainedRun extends RunFiles {
  /** The network with its averaged weights. */
  readonly drawable: Drawable;
  readonly data: Dataset;
  readonly source: ImageSource;
}

/** Metrics measured by an artifact. */
export type Measured = Readonly<Record<string, number>>;

/** An output of a run. */
export interface Artifact {
  /** The file that it writes; the table of files lists which runs have it. */
  readonly makes: keyof typeof files;
  /** Approximate number of network evaluations, for progress; by default none. */
  evaluations?(trained: TrainedRun): number;
  /**
   * Writes the artifact into the run's folder.
   *
   * @param onProgress called with the evaluations so far, if it takes many
   * @returns metrics, if it measures any
   */
  write(trained: TrainedRun, onProgress?: (evaluations: number) => void): Promise<Measured | void>;
}
