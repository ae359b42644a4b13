import { examplesOf, writeExamples } from "../data/example_file.ts";
import type { NetworkArtifact } from "./artifact.ts";

/** Images to choose from. */
const count = 24;

/** Some test images, for the report's page: what the data set holds is not there when the report is written again. */
export const examples: NetworkArtifact = {
  needs: "network",
  wanted: (config) => config.flowSamples > 0, // else the page shows no flow, and samples by none
  write: ({ run, data }) => writeExamples(run, examplesOf(data, count)),
};
