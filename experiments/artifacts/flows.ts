import { modelTypeOf } from "../../models/mod.ts";
import { evolve } from "../draw/evolve.ts";
import { writeFlowSnapshots } from "../draw/snapshot_files.ts";
import type { NetworkArtifact } from "./artifact.ts";

/** The flows of some samples, with a snapshot at each step. */
export const flows: NetworkArtifact = {
  needs: "network",
  wanted: (config) => config.flowSamples > 0,
  async write({ run, config: { model, flowSamples: count, flowSteps: steps, seed }, drawable }) {
    // Euler, as in the study, so that x of the next snapshot is x + v / steps.
    const flow = { seed, solver: "euler", steps } as const;
    const evolutions = await evolve(drawable, { ...flow, count });
    await writeFlowSnapshots(run, evolutions, { ...flow, modelType: modelTypeOf(model) });
  },
};
