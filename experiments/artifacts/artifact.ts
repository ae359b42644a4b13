import type { Dataset } from "../data/dataset.ts";
import type { ImageSource } from "../data/image_source.ts";
import type { Drawable } from "../draw/drawable.ts";
import type { TrainingConfig } from "../settings/tasks/train.ts";

/** What an artifact may be made from: the folder of a run, and its settings. */
export interface RunFiles {
  /** The run's folder. */
  readonly run: string;
  readonly config: TrainingConfig;
}

/** The trained network and its data, besides. */
export interface TrainedRun extends RunFiles {
  /** The network with its averaged weights. */
  readonly drawable: Drawable;
  readonly data: Dataset;
  readonly source: ImageSource;
}

/** Numbers that an artifact measures, for the metrics of the run. */
export type Measured = Readonly<Record<string, number>>;

/** Something that a run leaves behind, made from a source. */
interface ArtifactOf<Source> {
  /** Whether a run of this configuration leaves it. */
  wanted(config: TrainingConfig): boolean;
  /**
   * Writes it into the run's folder.
   *
   * @returns what was measured on the way, if anything
   * @throws {RunError} if it cannot be written
   */
  write(source: Source): Promise<Measured | void>;
}

/** What is made from the trained network. */
export interface NetworkArtifact extends ArtifactOf<TrainedRun> {
  readonly needs: "network";
}

/** What is made from files of the run's folder, which `deno task report` can do again at any time. */
export interface FolderArtifact extends ArtifactOf<RunFiles> {
  /** These files: paths below the run's folder. */
  readonly needs: readonly string[];
  /** Its own path there. */
  file(config: TrainingConfig): string;
}

/** Something that a run leaves behind. */
export type Artifact = NetworkArtifact | FolderArtifact;
