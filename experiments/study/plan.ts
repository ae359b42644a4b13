import type { PresetName } from "../settings/training.ts";

/** A value of a setting in a plan; lists are text, as on a command line: `16,32,64`. */
export type Value = string | number | boolean;

/**
 * Settings of the train task by name, and two of studies: `match` asks for the widths at which the network has as many
 * parameters, as much arithmetic or as long a training step as the other network at the given ones; `share` is the part of
 * the budget that the cell gets.
 */
export type CellSettings = Readonly<Record<string, Value>>;

/** How long each network is trained. */
export type Budget = { readonly steps: number } | { readonly minutes: number };

/** How each network is evaluated. */
export interface PlannedEvaluation {
  /** Samples, and real images to compare them with. */
  readonly count: number;
  /** Seed of the noise. */
  readonly seed: number;
  /** Solver of the samples, as `makeSolver` reads it; else as the run draws them. */
  readonly solver?: string;
  /** Guidance by the class; else the run's. */
  readonly guidance?: number;
  /** Images that are followed to noise or back. */
  readonly courseImages: number;
  /** Test images whose bits per dimension are measured. */
  readonly bitsImages: number;
  /** How often the Fréchet distance is measured on the way: after a half of the training, a quarter and so on; 0 without. */
  readonly milestones?: number;
  /** Solvers that each network is sampled with besides, as `makeSolver` reads them. */
  readonly solvers: readonly string[];
}

/** What a study compares: each combination of the grid and each of the cells, trained with each of the seeds. */
export interface Plan {
  readonly name: string;
  readonly preset: PresetName;
  /** Values by setting; all combinations are trained. */
  readonly grid: Readonly<Record<string, readonly Value[]>>;
  /**
   * Settings that are trained besides the grid.
   */
  readonly cells: readonly CellSettings[];
  /** Settings of all cells. */
  readonly fixed: CellSettings;
  readonly seeds: readonly number[];
  readonly budget: Budget;
  readonly evaluation: PlannedEvaluation;
}

/** A plan that the repository holds; what it leaves out has the usual values. */
export interface BuiltInPlan extends Partial<Omit<Plan, "name" | "evaluation">> {
  /** The question that it answers, one line of `--help`. */
  readonly doc: string;
  readonly evaluation?: Partial<PlannedEvaluation>;
}
