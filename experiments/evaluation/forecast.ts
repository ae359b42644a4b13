/** Describes what measuring a network would take, without measuring it: for `--dry-run`. */

import type { Device } from "../../kernels/mod.ts";
import { namedParameters } from "../../models/mod.ts";
import type { Module } from "../../models/mod.ts";
import { describeData } from "../data/dataset.ts";
import { judgedData } from "./data_judge.ts";
import type { DataJudge } from "./data_judge.ts";
import { type JudgeChoice, judgesFor, untrainedJudges } from "./find_judge.ts";
import { formatLength, secondsToTrain } from "./train_judge.ts";
import { formatTime, gigabytes, secondsPerUnit } from "../cli/dry_run.ts";
import type { EvaluatedNetwork } from "./evaluated_network.ts";
import type { Watch } from "./measurement.ts";

export interface MeasuredWork {
  readonly device: Device;
  readonly judge: JudgeChoice;
  /** Steps of new judges, if they are to be trained. */
  readonly judgeSteps?: number | undefined;
  /** How samples are drawn, as text. */
  readonly samples: string;
  /** Evaluations of the network, with these judges. */
  readonly evaluations: (judges: readonly DataJudge[]) => number;
  /** Begins to draw the samples. */
  readonly draw: (watch: Watch) => Promise<unknown>;
  readonly files: readonly string[];
}

/** Describes a measurement by timing its first evaluations, in rows for `printDryRun`. */
export async function forecastMeasuring(
  { drawable: { model }, data, weights, classes }: EvaluatedNetwork,
  { device, judge, judgeSteps: steps, samples, evaluations, draw, files }: MeasuredWork,
): Promise<Record<string, string | undefined>> {
  const judges = await judgesFor(data, { judge, steps, train: false, say: () => {} });
  const missing = data.classes > 1 ? untrainedJudges(judge, judges) : [];
  const count = evaluations(judges);
  const drawing = count * await secondsPerUnit((signal, onProgress) => draw({ signal, onProgress }));
  const training = [];
  for (const name of missing) {
    const seconds = await secondsToTrain(judgedData(data), { name, steps });
    training.push({ name, seconds });
  }
  const trained = training.map(({ name, seconds }) =>
    `training the judge ${name}, ${formatLength(steps, name)}, ${formatTime(seconds)}`
  );
  const size = namedParameters(model as Module).values().reduce((sum, { size }) => sum + size, 0);
  return {
    network: `${weights.file}, ${size.toLocaleString("en")} parameters${
      classes > 0 ? `, ${classes} classes` : ""
    }`,
    data: describeData(data),
    samples,
    time: `about ${formatTime(training.reduce((sum, { seconds }) => sum + seconds, drawing))}: ${
      [
        ...trained,
        `${Math.ceil(count).toLocaleString("en")} evaluations of the network ${formatTime(drawing)}`,
      ]
        .join(", ")
    }; then judging and comparing`,
    memory: `${gigabytes(device.allocatedBytes)} on the device`,
    files: files.length > 0 ? [...files, ...missing.length > 0 ? ["runs/.judges/"] : []].join(", ") : "none",
  };
}
