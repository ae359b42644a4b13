import type { Dataset } from "../data/dataset.ts";
import type { ImageSource } from "../data/image_source.ts";
import type { Drawable } from "../draw/samples.ts";
import type { files } from "../run/files.ts";
import type { TrainingConfig } from "../settings/training.ts";

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

interface ArtifactOf<Source> {
  /** The file that it makes; the table of files says which runs have it. */
  readonly makes: keyof typeof files;
  /** Writes the artifact into the run's folder. @returns metrics, if it measures any */
  write(source: Source): Promise<Measured | void>;
}

/** An artifact made from the trained network. */
export interface NetworkArtifact extends ArtifactOf<TrainedRun> {
  readonly needs: "network";
  /** About how many evaluations of the network it takes, for progress; by default none. */
  evaluations?(trained: TrainedRun): number;
  /** @param onProgress called with the evaluations so far, if it takes many */
  write(trained: TrainedRun, onProgress?: (evaluations: number) => void): Promise<Measured | void>;
}

/** An artifact made from files in the run's folder, so `deno task report` can make it at any time. */
export interface FolderArtifact extends ArtifactOf<RunFiles> {
  /** The files it is made from, relative to the run's folder. */
  readonly needs: readonly string[];
}

/** An output of a run. */
export type Artifact = NetworkArtifact | FolderArtifact;
