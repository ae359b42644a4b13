import { maxMs as maxOfApng } from "../viz/image/apng.ts";
import { colormapNames, flowFields, pacings } from "../viz/mod.ts";
import { loadTrajectories } from "./draw/trajectories.ts";
import { drawTrajectories, pictureName, trajectoryRows } from "./draw/pictures.ts";
import { say } from "./cli/output.ts";
import { main, task } from "./cli/task.ts";
import { checkFolderOf, writeAtomic } from "./run/run_folder.ts";
import { choice, integer, integers, optional, outputFile } from "./cli/kinds.ts";
import { ConfigError, defineSettings, flagOf, type Need } from "./cli/settings.ts";
import { runSource, shared } from "./settings/run.ts";

const moving: Need = { words: "an animation (--format gif or apng)", met: ({ format }) => format !== "png" };

/** Settings of `deno task animate`. */
const animating = defineSettings({
  field: choice(flowFields, {
    doc: "arrows, the velocity in colour, the predicted end point, or only the image",
    default: "quiver",
  }),
  map: optional(choice(colormapNames, { doc: "colour map (default: magma, or rdbu for velocity)" })),
  pacing: choice(pacings, { doc: "how the frames are spread over time", default: "linear" }),
  frames: optional(integer({ doc: "frames (default: 100, or 8 for png)", min: 1, max: 10_000 })),
  samples: optional({
    ...integers({ doc: "samples to draw, numbered from 1 (default: all)" }),
    expected: "sample numbers from 1 on, such as 1,3",
  }),
  scale: optional(integer({ doc: "pixels per image pixel (default: as many as fit)", min: 1 })),
  delay: integer({ doc: "milliseconds per frame", min: 20, max: 655_350, default: 50, needs: moving }),
  hold: integer({
    doc: "milliseconds for the last frame",
    min: 20,
    max: 655_350,
    default: 1500,
    needs: moving,
  }),
  format: choice(["gif", "apng", "png"], {
    doc: "animation in 256 colours, animation in full colour, or a strip of stills",
    default: "gif",
  }),
  out: optional(outputFile([".gif", ".png", ".apng"], {
    doc: "file to write (default: flow_<field>_<pacing>.gif or .png)",
  })),
  experiment: { ...shared.experiment, doc: "experiment to draw: all of its runs, or those named" },
  root: runSource.root,
}, { field: "Picture", experiment: "Runs" });

const endings = { gif: [".gif"], apng: [".png", ".apng"], png: [".png"] } as const;

/** Draws the stored trajectories of runs. */
export const animateTask = task({
  name: "animate",
  about: "Draw the stored trajectories of runs as GIF, APNG or a strip of stills",
  words: "RUN...",
  settings: animating,
  resolve(values, runs) {
    const config = animating.resolve(values);
    const { format, out } = config;
    const long = (["delay", "hold"] as const).find((name) => format === "apng" && config[name] > maxOfApng);
    if (long) {
      throw new ConfigError(
        `Cannot use ${flagOf(long)} ${
          config[long]
        } with --format apng: expected at most ${maxOfApng} (or gif)`,
      );
    }
    if (out !== null && !endings[format].some((ending) => out.endsWith(ending))) {
      throw new ConfigError(
        `Cannot use --out ${JSON.stringify(out)} with --format ${format}: ` +
          `expected a name that ends with ${endings[format].join(" or ")}`,
      );
    }
    return { ...config, runs };
  },
  async run(config) {
    const out = config.out ?? pictureName(config);
    await checkFolderOf(out);
    const started = performance.now();
    const { warning, ...picture } = trajectoryRows(
      await loadTrajectories(config.runs, config),
      config.samples ?? [],
    );
    if (warning) say(warning);
    const { bytes, holds } = await drawTrajectories(picture, config);
    await writeAtomic(out, bytes);
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    say(`${holds}, ${(bytes.length / 1e6).toFixed(2)} MB in ${seconds} s: ${out}`);
  },
});

if (import.meta.main) await main(animateTask);
