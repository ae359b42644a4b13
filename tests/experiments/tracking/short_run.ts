import { join } from "node:path";
import { lockRun } from "../../../experiments/run/run_lock.ts";
import { FolderTracker } from "../../../experiments/tracking/folder_tracker.ts";
import { MlflowTracker, type Waiting } from "../../../experiments/tracking/mlflow_tracker.ts";
import type { Choice } from "../../../experiments/tracking/settings.ts";

const config = { model: "base", filters: [4, 8], lr: 1e-3, name: null, resume: null, mlflow: null };

/**
 * A run of 60 lines and a few files in a second, mirrored meanwhile: what training does, without training.
 *
 * @returns what the tracker said
 */
export async function shortRun(
  folder: string,
  { address, patience, experiment, waiting = { lookMs: 20, outageMs: 50, patienceMs: 3_000 } }:
    & Required<Omit<Choice, "runName">>
    & { waiting?: Waiting },
): Promise<string[]> {
  const said: string[] = [];
  using lock = await lockRun(folder);
  const started = await FolderTracker.start(lock, {
    startedAt: new Date(),
    about: {
      name: "short",
      experiment,
      user: "somebody",
      source: "a test",
      gitBranch: null,
      parameterCount: 12,
      dataset: {
        name: "data",
        digest: "0123456789abcdef",
        source: "somewhere",
        height: 2,
        width: 2,
        train: 3,
        validation: 2,
        test: 1,
      },
      standsFor: null,
    },
  });
  await Deno.writeTextFile(join(folder, "config.json"), JSON.stringify(config));
  await using tracker = new MlflowTracker(started, {
    address,
    patience,
    say: (message) => said.push(message),
    waiting,
  });
  await Deno.mkdir(join(folder, "samples"));
  for (let step = 1; step <= 60; step++) {
    const odd = step === 7 ? NaN : step === 8 ? Infinity : step === 9 ? -Infinity : 1 / step;
    tracker.log({ step, train_loss: odd, learning_rate: step === 10 ? 1e-40 : 1e-3 });
    if (step % 20 === 0) {
      await Deno.writeFile(join(folder, "samples", `${step}.png`), Uint8Array.of(step, 1, 2));
      tracker.log({ step, "image/samples": `samples/${step}.png` });
    }
    if (step % 15 === 0) {
      await Deno.writeFile(join(folder, "last.safetensors"), new Uint8Array(20_000).fill(step));
    }
    await new Promise((resolve) => setTimeout(resolve, 8));
  }
  await Deno.writeFile(join(folder, "a name with ümläut & spaces.bin"), new Uint8Array(300_000).fill(7));
  await tracker.end("FINISHED");
  return said;
}
