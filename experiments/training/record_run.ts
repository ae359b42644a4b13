/** What a run writes into its folder when it starts, besides what `RunTracker` does. */

import { join } from "node:path";
import { CpuDevice } from "../../kernels/devices/cpu/cpu_device.ts";
import type { Device } from "../../kernels/mod.ts";
import { describeData } from "../data/dataset.ts";
import { fileAt, runFile } from "../run/files.ts";
import { collectEnvironment, taskCommand } from "../run/program_files.ts";
import { writeJson } from "../run/run_folder.ts";
import { configJson } from "../settings/config_file.ts";
import { formatNetwork, trainingTask } from "../settings/network.ts";
import type { RunConfig } from "../settings/run_config.ts";
import type { RunRecord } from "../tracking/record.ts";
import type { PreparedTraining } from "./prepare_training.ts";

/** What `run.json` says about a run. */
export function aboutRun(
  { config, network, teacher, data, images }: PreparedTraining,
  command = taskCommand(teacher ? "distill" : trainingTask(config.model), []),
): Pick<RunRecord, "source" | "parameterCount" | "dataset"> {
  const { name, digest, source, channels, height, width, classes, classNames, test, damaged } = data;
  const dataset = {
    name,
    digest,
    source,
    channels,
    height,
    width,
    classes,
    classNames,
    train: images.train.length,
    validation: images.validation.length,
    test: test.count,
    damaged,
  };
  return { source: command, parameterCount: network.size, dataset };
}

/** Writes the settings that repeat a run, bit for bit on a device of the same kind. */
export async function writeConfig(run: string, config: RunConfig): Promise<void> {
  await writeJson(join(run, runFile.config), configJson(config));
}

/** Advice if only half the width of the processor's vectors is used. */
const narrowVectors = "Matrix products may be twice as fast with ./denow, or with " +
  "DENO_V8_FLAGS=--experimental-wasm-revectorize (docs/performance.md)";

/** Writes the machine and the versions of a session. @returns advice for the user */
export async function writeEnvironment(
  run: string,
  device: Device,
  startedAt: Date,
  resumed: boolean,
): Promise<string[]> {
  const wideVectors = device instanceof CpuDevice ? await device.hasWideVectors() : undefined;
  const { kind, description } = device;
  const file = resumed ? fileAt(runFile.resumedEnvironment, startedAt.getTime()) : runFile.environment;
  await writeJson(join(run, file), collectEnvironment({ kind, description, wideVectors }, startedAt));
  return wideVectors === false && Deno.build.arch === "x86_64" ? [narrowVectors] : [];
}

/** The network and the device of a run, in one line. */
export function networkLine({ config, network }: PreparedTraining, device: Device): string {
  const { size, options } = network;
  const { preset, conditional } = config;
  return `${formatNetwork(config)}, ${size.toLocaleString("en")} parameters, ` +
    `${conditional ? `conditional on ${options.classes} classes, ` : ""}preset ${preset}, ` +
    `on ${device.description}`;
}

/** What a run says when it starts. */
export function runLines(prepared: PreparedTraining, device: Device, run: string): string[] {
  const { config, data, initial } = prepared;
  return [
    `${networkLine(prepared, device)}\nrun folder ${run}`,
    ...config.data !== null ? [describeData(data)] : [],
    ...initial?.lines ?? [],
  ];
}
