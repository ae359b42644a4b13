import type { Dataset, ImageSplit } from "../data/dataset.ts";
import type { ImageSource } from "../data/image_source.ts";
import type { TrainingConfig } from "../settings/training.ts";
import type { Network } from "./network.ts";

/** One session of a training run, which may be resumed in another. */
export interface TrainingSession {
  readonly config: TrainingConfig;
  /** The run's folder. */
  readonly run: string;
  readonly data: Dataset;
  readonly images: ImageSplit;
  readonly network: Network;
  readonly source: ImageSource;
  /** Steps after which the averaged weights are kept. */
  readonly keepAt: readonly number[];
  /** Saves and ends the session early. */
  readonly signal: AbortSignal;
  /** Called with lines for the user. */
  readonly say: (message: string) => void;
}

/** How a session of training ended. */
export interface TrainingOutcome {
  /** Steps taken in all sessions of the run. */
  readonly step: number;
  /** Whether it was stopped before its end. */
  readonly interrupted: boolean;
  readonly valLoss: number | undefined;
  readonly testLoss: number | undefined;
  /** Of this session. */
  readonly imagesPerSecond: number;
}
