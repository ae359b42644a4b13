import { colormapNames, flowFields, pacings } from "../../../viz/mod.ts";
import { mostMs as mostOfApng } from "../../../viz/image/apng.ts";
import { listing } from "./runs.ts";
import { ConfigError, flagOf, type Values } from "../setting.ts";
import { choice, integer, integers, optional, path } from "../kinds.ts";
import { defineSettings } from "../settings.ts";
import { shared } from "./shared.ts";

const headings = { field: "Picture", from: "Runs" };

/** The settings of the tasks that draw stored flows. */
export const animating = defineSettings({
  field: choice(flowFields, {
    doc: "arrows, the velocity in colour, the predicted end point, or the image alone",
    default: "quiver",
  }),
  map: optional(choice(colormapNames, { doc: "colour map (else magma; rdbu for velocity)" })),
  pacing: choice(pacings, { doc: "how the frames are spread over time", default: "linear" }),
  frames: optional(integer({ doc: "frames (else 100; 8 for png)", min: 1, max: 10_000 })),
  samples: optional({
    ...integers({ doc: "numbers of the samples to draw, from 1 (else all)" }),
    expected: "numbers of samples from 1, such as 1,3",
  }),
  scale: optional(integer({ doc: "pixels per image pixel (else what fits)", min: 1 })),
  delay: integer({ doc: "milliseconds per frame", min: 20, max: 655_350, default: 50 }),
  hold: integer({ doc: "milliseconds on the last frame", min: 20, max: 655_350, default: 1500 }),
  format: choice(["gif", "apng", "png"], {
    doc: "animation in 256 colours, animation in full colour, or a strip of stills",
    default: "gif",
  }),
  out: optional(path("FILE", "the picture (else flow_<field>_<pacing>.gif or .png)")),
  from: listing.rows.from,
  mlflow: listing.rows.mlflow,
  experiment: { ...shared.experiment, doc: "draw its runs: all, or those named" },
  root: listing.rows.root,
}, headings);

/** The same settings for the task that compares runs, which files its picture elsewhere. */
export const comparing = defineSettings({
  ...animating.rows,
  out: {
    ...animating.rows.out,
    doc: "the picture (else flow_<field>_<pacing>.gif or .png in a new folder below --root)",
  },
}, headings);

/** What to draw and how. */
export type AnimateConfig = Values<typeof animating.rows> & {
  readonly help: boolean;
  readonly runs: readonly string[];
};

const endings = { gif: [".gif"], apng: [".png", ".apng"], png: [".png"] } as const;

/**
 * Reads `RUN... [flags]`.
 *
 * @throws {ConfigError} if a flag cannot be used or has no effect, or the file name does not end as its format does
 */
export function parseAnimation(argv: readonly string[]): AnimateConfig {
  const { words: runs, help, values } = animating.parseWords(argv);
  const config = animating.resolve(values);
  const { format, out } = config;
  const idle = (["delay", "hold"] as const).find((name) => format === "png" && name in values);
  if (idle) {
    throw new ConfigError(
      `Cannot use ${flagOf(idle)} with --format png: a strip of stills does not move (expected gif or apng)`,
    );
  }
  const long = (["delay", "hold"] as const).find((name) => format === "apng" && config[name] > mostOfApng);
  if (long) {
    throw new ConfigError(
      `Cannot use ${flagOf(long)} ${
        config[long]
      } with --format apng: expected at most ${mostOfApng} (or gif)`,
    );
  }
  if (out !== null && !endings[format].some((ending) => out.toLowerCase().endsWith(ending))) {
    throw new ConfigError(
      `Cannot use --out ${JSON.stringify(out)} with --format ${format}: ` +
        `expected a name that ends with ${endings[format].join(" or ")}`,
    );
  }
  return { ...config, help, runs };
}
