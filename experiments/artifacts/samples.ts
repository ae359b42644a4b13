import { writeSamples } from "../draw/sample_grid.ts";
import type { NetworkArtifact } from "./artifact.ts";

/** A grid of samples. */
export const samples: NetworkArtifact = {
  needs: "network",
  wanted: (config) => config.samples > 0,
  async write({ run, config: { samples: count, seed, sampleSteps: steps, solver }, drawable }) {
    await writeSamples(run, drawable, { count, seed, steps, solver });
  },
};
