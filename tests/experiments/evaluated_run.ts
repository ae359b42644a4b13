import { join } from "node:path";
import { loadDataset } from "../../experiments/data/load_dataset.ts";
import { cachedFile } from "../../experiments/evaluation/judges.ts";
import { digestOf, judgedData, makeJudge } from "../../experiments/evaluation/train_judge.ts";
import { init } from "../../kernels/mod.ts";
import { bareRun, madeOnce, oneThread, tinyRun, type Workplace } from "./cli.ts";
import { writeTinyIdx } from "./data/tiny_idx.ts";
import { writeTrajectories } from "../../experiments/draw/trajectories.ts";
import { judgeNames } from "../../models/mod.ts";
import { madeUpFlow } from "../viz/flow/made_up_flow.ts";
import { newRecord, writeRecord } from "../../experiments/tracking/record.ts";

/** A tiny run with enough data for an evaluation. */

/** Flags of a quick evaluation on the CPU device. */
export const quickly = `--count 170 ${oneThread} --solver euler:steps=2 --course-images 6 --bits-images 3`;

/** Makes data of four classes in `data`, barely trained judges, and a run `a`, which has pictures by default. */
export async function makeRun(place: Workplace, flags = "--conditional"): Promise<void> {
  await madeOnce(place, flags, async (place) => {
    await madeOnce(place, "judged data", makeJudgedData);
    const run = flags === "--conditional" ? tinyRun : bareRun;
    await place.succeed("train:base", `${run.replace("--no-conditional", flags)} --out a`);
  });
}

/** Makes data of four classes in `data`, and barely trained judges. */
export async function makeJudgedData(place: Workplace): Promise<void> {
  await Deno.remove(place.file("data"), { recursive: true });
  await writeTinyIdx(place.file("data"), { train: 300, test: 360, classes: 4 });
  const data = judgedData(await loadDataset(place.file("data")));
  const judges = place.file("runs", ".judges");
  await Deno.mkdir(judges, { recursive: true });
  const device = await init({ device: "cpu", threads: 1 });
  for (const name of judgeNames) {
    const { bytes } = (await makeJudge(data, { name, steps: 6, seed: 1 }))!;
    await Deno.writeFile(join(judges, cachedFile(name, await digestOf(data))), bytes);
  }
  device.close();
}

/** Leaves so few test images that they are compared by kernel distance. Judges depend on training images alone. */
export const useFewTestImages = (place: Workplace) =>
  writeTinyIdx(place.file("data"), { train: 300, test: 30, classes: 4 });

/** Writes a run with only record, settings and trajectories, like a copy from somebody else. */
export async function storeRun(place: Workplace, run: string): Promise<void> {
  const source = { modelType: "UNet_FM", seed: 1, solver: "euler", steps: 10 } as const;
  await writeTrajectories(place.file(run), [madeUpFlow(0, 11, [8, 8])], source);
  const record = newRecord({ name: run, experiment: "UNet_FM", source: "a test", startedAt: 1, endedAt: 2 });
  await writeRecord(place.file(run), { ...record, status: "FINISHED" });
  await place.write(`${run}/config.json`, { model: "base", filters: [8, 16], lr: 0.5 });
}
