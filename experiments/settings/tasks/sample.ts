import { checkEffects } from "./train_checks.ts";
import type { Flags } from "../flags.ts";
import { ConfigError, flagOf, type Values } from "../setting.ts";
import { choice, integer, path, text } from "../kinds.ts";
import { defineSettings } from "../settings.ts";
import { chooseSolver, type ChosenSolver, solving } from "../solving.ts";
import { classChoice } from "./classes.ts";
import { checkGuidance, givenGuidance, guiding } from "./guiding.ts";
import { describing, describingHeading } from "./network.ts";
import { guidanceWithoutLabels, training } from "./train.ts";

/** The settings of the task that draws images from a trained network. */
export const sampling = defineSettings({
  checkpoint: path("FILE|RUN", "weights to sample from, or a run, for its averaged weights"),
  count: integer({ doc: "images", min: 1, max: 1_000_000, default: 64 }),
  seed: integer({ doc: "seed of the noise", max: 2 ** 32 - 1, default: 0 }),
  ...solving,
  class: classChoice("classes to draw in turn; none = unconditional (else all)"),
  ...guiding,
  guidance: {
    ...guiding.guidance,
    details: [`without classes away from the run's early weights (else ${guidanceWithoutLabels})`],
  },
  columns: integer({ doc: "columns of the grid, 0 = one a class, or nearly square", default: 0 }),
  out: text({
    doc: "grid of the images (.png), or their values, f32[N, C, H, W] (.npy)",
    hint: "FILE",
    pattern: /.\.(png|npy)$/,
    expected: "a path that ends with .png or .npy",
    default: "grid.png",
  }),
  values: choice(["pixels", "network"], {
    doc: "values of an .npy: 0 black to 1 white, not clipped, or as the network sees them",
    default: "pixels",
  }),
  device: training.rows.device,
  threads: training.rows.threads,

  ...describing,
}, {
  solver: "Solver",
  columns: "Output",
  model: describingHeading,
});

/** The settings of the sampling task by name. */
export type SampleConfig = Values<typeof sampling.rows> & {
  /** Whether the number of images may become that of full rows, as nobody asked for another. */
  readonly inFullRows: boolean;
};

/**
 * The settings of a sampling task: the flags, completed by defaults, and the solver that they stand for.
 *
 * @throws {ConfigError} if a setting is missing or has no effect
 */
export function resolveSampleConfig(
  { values }: Flags<typeof sampling.rows>,
): SampleConfig & { readonly chosen: ChosenSolver } {
  const config = sampling.resolve(values);
  const { device, out } = config;
  const guidance = config.class === "none" ? givenGuidance(config) : undefined;
  if (guidance !== undefined) {
    throw new ConfigError(`Cannot use ${guidance} with --class none: there is no class to guide by`);
  }
  checkGuidance(config);
  if ("threads" in values) checkEffects({ threads: config.threads }, { device });
  if ("columns" in values && out.endsWith(".npy")) {
    throw new ConfigError(
      `Cannot use --columns with --out ${out}: an array has no columns (expected a .png, or no --columns)`,
    );
  }
  if ("values" in values && !out.endsWith(".npy")) {
    throw new ConfigError(
      `Cannot use --values with --out ${out}: a picture shows pixels (expected an .npy, or no --values)`,
    );
  }
  const chosen = chooseSolver(values, config, flagOf);
  if ("how" in chosen) return { ...config, inFullRows: !("count" in values), chosen };
  throw new ConfigError(`Cannot use ${flagOf(chosen.name)} ${config[chosen.name]}: ${chosen.problem}`);
}
