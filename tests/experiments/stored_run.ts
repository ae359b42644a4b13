import { writeTrajectories } from "../../experiments/draw/trajectories.ts";
import { madeUpFlow } from "../viz/flow/made_up_flow.ts";
import { newRecord, writeRecord } from "../../experiments/tracking/record.ts";
import type { Workplace } from "./cli.ts";

/** Writes a run with only record, settings and trajectories, like a copy from somebody else. */
export async function storeRun(place: Workplace, run: string): Promise<void> {
  const source = { modelType: "UNet_FM", seed: 1, solver: "euler", steps: 10 } as const;
  await writeTrajectories(place.file(run), [madeUpFlow(0, 11, [8, 8])], source);
  const record = newRecord({ name: run, experiment: "UNet_FM", source: "a test", startedAt: 1, endedAt: 2 });
  await writeRecord(place.file(run), { ...record, status: "FINISHED" });
  await Deno.writeTextFile(place.file(run, "config.json"), '{"model":"base","filters":[8,16],"lr":0.5}');
}
