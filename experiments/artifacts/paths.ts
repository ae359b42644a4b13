import { classColumns } from "../draw/asked.ts";
import { followPaths } from "../draw/follow_paths.ts";
import { writeFlowPaths } from "../draw/path_file.ts";
import type { NetworkArtifact } from "./artifact.ts";

/** Euler steps of a path: enough for a smooth line. */
const steps = 20;

/** The paths of many samples, projected to a plane. */
export const paths: NetworkArtifact = {
  needs: "network",
  wanted: (config) => config.pathSamples > 0,
  async write({ run, config: { pathSamples, guidance, seed, batchSize: batch }, data, source, drawable }) {
    const { count, asked } = classColumns(pathSamples, source.classes, { scale: guidance });
    const how = { count, seed, steps, batch, ...asked && { asked } };
    await writeFlowPaths(run, await followPaths(drawable, data, how));
  },
};
