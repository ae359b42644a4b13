import { checkEffects } from "./train_checks.ts";
import type { Flags } from "../flags.ts";
import { ConfigError, flagOf, type Values } from "../setting.ts";
import { choice, integer, integers, number, optional, path, text, toggle } from "../kinds.ts";
import { defineSettings } from "../settings.ts";
import { chooseSolver, type ChosenSolver, solving } from "../solving.ts";
import { classChoice, interval } from "./classes.ts";
import { presets } from "./presets.ts";
import { training } from "./train.ts";

/** The guidance where none is given: that of training's own pictures. */
export const usualGuidance = presets.quick.guidance;

const { model, filters, tEmb, attn, groups, timeEmbedding, normalize } = training.rows;

/** The settings of the task that draws images from a trained network. */
export const sampling = defineSettings({
  checkpoint: path("FILE|RUN", "weights to sample from, or a run, for its averaged weights"),
  count: integer({ doc: "images", min: 1, default: 64 }),
  seed: integer({ doc: "seed of the noise", max: 2 ** 32 - 1, default: 0 }),
  ...solving,
  class: classChoice("classes to draw in turn; none = as if there were none (else all)"),
  guidance: optional(number({ doc: `guidance by the class, 1 = none (else ${usualGuidance})`, min: 0 })),
  guidanceInterval: interval("times between which there is guidance (else 0,1)"),
  cfgZero: toggle({ doc: "guide by CFG-Zero*", default: false }),
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

  model: optional({ ...model, doc: "the network" }),
  filters: optional(filters),
  tEmb: optional(tEmb),
  attn: optional(attn),
  groups: optional({ ...groups, doc: `${groups.doc} (else ${groups.default})` }),
  timeEmbedding: optional({ ...timeEmbedding, doc: `${timeEmbedding.doc} (else ${timeEmbedding.default})` }),
  channels: optional(integer({ doc: "channels of the images (else 1)", min: 1 })),
  classes: optional(integer({ doc: "number of classes (else 0, none)", min: 1 })),
  imageSize: optional({
    ...integers({ doc: "height and width of the images (else 28,28)" }),
    hint: "H,W",
    expected: "two whole numbers of at least 1, such as 28,28",
    accepts: (value): value is readonly number[] => {
      return Array.isArray(value) && value.length === 2 &&
        value.every((n) => Number.isSafeInteger(n) && n >= 1);
    },
  }),
  normalize: optional({ ...normalize, doc: `${normalize.doc} that the network was trained on` }),
}, {
  solver: "Solver",
  columns: "Output",
  model: "Network, where the file does not say it, such as a PyTorch state dict",
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

/** @throws {ConfigError} if a setting of guidance has no effect */
function checkGuidance(config: Values<typeof sampling.rows>): void {
  const { guidance, guidanceInterval, cfgZero } = config;
  const refine = guidanceInterval !== null ? "guidanceInterval" : cfgZero ? "cfgZero" : undefined;
  if (config.class === "none") {
    const given = guidance !== null ? "guidance" : refine;
    if (given === undefined) return;
    throw new ConfigError(`Cannot use ${flagOf(given)} with --class none: there is no class to guide by`);
  }
  if (guidance !== 1 || refine === undefined) return;
  throw new ConfigError(
    `Cannot use ${flagOf(refine)} with --guidance 1: it is no guidance (expected another, or no ${
      flagOf(refine)
    })`,
  );
}
