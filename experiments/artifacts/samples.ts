import { classColumns } from "../draw/asked.ts";
import { writeSamples } from "../draw/sample_grid.ts";
import type { NetworkArtifact } from "./artifact.ts";

/** A grid of samples. */
export const samples: NetworkArtifact = {
  needs: "network",
  wanted: (config) => config.samples > 0,
  async write({ run, config: { samples, guidance, seed, sampleSteps: steps, solver }, source, drawable }) {
    const columns = classColumns(samples, source.classes, { scale: guidance });
    await writeSamples(run, drawable, { ...columns, seed, steps, solver });
  },
};
