import { modelTypeOf } from "../../models/mod.ts";
import { classColumns } from "../draw/asked.ts";
import { evolve } from "../draw/evolve.ts";
import { writeFlowSnapshots } from "../draw/snapshot_files.ts";
import type { NetworkArtifact } from "./artifact.ts";

/** The flows of some samples, with a snapshot at each step. */
export const flows: NetworkArtifact = {
  needs: "network",
  wanted: (config) => config.flowSamples > 0,
  async write({ run, config: { model, flowSamples, flowSteps: steps, guidance, seed }, source, drawable }) {
    // Euler, so that x of the next snapshot is x + v / steps.
    const flow = { seed, solver: "euler", steps } as const;
    const { count, asked } = classColumns(flowSamples, source.classes, { scale: guidance });
    const condition = asked && { asked };
    const trajectories = await evolve(drawable, { ...flow, count, ...condition });
    await writeFlowSnapshots(run, trajectories, { ...flow, modelType: modelTypeOf(model) }, asked);
  },
};
