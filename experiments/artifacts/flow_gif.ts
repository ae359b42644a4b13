import { join } from "node:path";
import { flowAnimation } from "../draw/flow_animation.ts";
import { readFlowSnapshots } from "../draw/snapshot_files.ts";
import { writeAtomic } from "../run/atomic_write.ts";
import { flowAnimationFile, flowFile } from "../run/layout.ts";
import type { FolderArtifact } from "./artifact.ts";

/** An animation of the flows. */
export const flowGif: FolderArtifact = {
  needs: [flowFile(1)],
  file: ({ pacing }) => flowAnimationFile(pacing),
  wanted: (config) => config.flowSamples > 0,
  async write({ run, config: { pacing, flowFrames: frames } }) {
    const samples = await readFlowSnapshots(run);
    await writeAtomic(join(run, flowAnimationFile(pacing)), await flowAnimation(samples, { pacing, frames }));
  },
};
