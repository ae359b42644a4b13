import { join } from "node:path";
import { decodeCheckpoint, evaluationsOf, type SolverName, solvers } from "../../models/mod.ts";
import { evenTimes } from "../../viz/mod.ts";
import type { LiveJudge, LiveNetwork, ReportRun } from "../../viz/report/mod.ts";
import { className, formatAutoguidance, formatGuidance } from "../draw/conditioning.ts";
import { columnsOf } from "../draw/pictures.ts";
import { findTrajectories } from "../draw/trajectories.ts";
import { readFile, readIfThere } from "../run/run_folder.ts";
import { runFile } from "../run/files.ts";
import { findEarlyWeights, findWeights } from "../run/weights.ts";
import { ownConfigIn } from "../networks/own_network.ts";
import type { RunRecord } from "../tracking/record.ts";

/** Reads the pictures of a run's samples. */
export async function readSamples(
  folder: string,
  config: Readonly<Record<string, unknown>>,
  dataset: RunRecord["dataset"],
): Promise<Pick<ReportRun, "samplesPng" | "samplesText" | "samplesColumns" | "fewStepsPng">> {
  const samplesPng = await readIfThere(join(folder, runFile.samples));
  const fewStepsPng = await readIfThere(join(folder, runFile.fewSteps));
  const { classes = 0, width = 0, classNames } = dataset ?? {};
  const columns = samplesPng && config.conditional === true ? columnsOf(samplesPng, width) : 0;
  const isAligned = columns > 0 && columns % classes === 0;
  const nameOf = (column: number) => className(column % classes, classNames ?? undefined);
  return {
    samplesPng,
    fewStepsPng,
    samplesText: formatSamples(config, isAligned),
    samplesColumns: isAligned ? Array.from({ length: columns }, (_, column) => nameOf(column)) : undefined,
  };
}

/** Describes how a run's samples were drawn. */
function formatSamples(
  { conditional, guidance }: Readonly<Record<string, unknown>>,
  isAligned: boolean,
): string | undefined {
  const scale = typeof guidance === "number" ? guidance : 1;
  if (conditional === true) {
    return `${isAligned ? "one class per column" : "classes in turn"}, ${formatGuidance({ scale })}`;
  }
  return scale === 1 ? undefined : `${formatAutoguidance(scale)}; trajectories are drawn without it`;
}

/** Reads the trajectories of a run, with what they share. */
export async function readTrajectories(folder: string): Promise<Pick<ReportRun, "trajectories" | "solved">> {
  const snapshots = await findTrajectories(folder);
  if (snapshots.length === 0) return { trajectories: [] };
  const trajectories = snapshots.map(({ trajectory }) => trajectory);
  const [{ seed, solver, steps, guidance, trajectory: { t } }] = snapshots;
  const isOneBatch = snapshots.every((one, i) =>
    one.k === i + 1 && one.seed === seed && one.solver === solver && one.steps === steps &&
    one.guidance === guidance
  );
  if (!isOneBatch) return { trajectories }; // files were deleted or copied
  const labels = snapshots.flatMap(({ label }) => label ?? []);
  const isLabelled = labels.length === snapshots.length;
  const isKnown = (name: string): name is SolverName => Object.hasOwn(solvers, name);
  return {
    trajectories,
    solved: {
      seed,
      solver,
      steps,
      times: t.length === steps + 1 && !evenTimes(t) ? [...t] : undefined,
      labels: isLabelled ? labels : undefined,
      guidance: isLabelled ? guidance ?? 1 : undefined,
      evaluations: isKnown(solver) ? evaluationsOf({ solver, steps }) : undefined,
    },
  };
}

/** Maximum bytes of a checkpoint in a report, about two million weights; base64 adds a third. */
const maxBytes = 8 * 2 ** 20;

/**
 * Reads the network of a run, for sampling in the page.
 *
 * @returns the network, or why there is none, as the end of a sentence
 */
export async function readNetwork(
  run: string,
  config: Readonly<Record<string, unknown>>,
  judge?: LiveJudge,
): Promise<LiveNetwork | string> {
  const weights = findWeights(run);
  if (!weights) return "its folder does not contain weights";
  const mebibytes = (bytes: number) => `${(Math.ceil(10 * bytes / 2 ** 20) / 10).toFixed(1)} MiB`;
  if (weights.size > maxBytes) {
    return `its weights take ${mebibytes(weights.size)}, but a report holds at most ${mebibytes(maxBytes)}`;
  }
  const checkpoint = await readCheckpoint(weights.path, run);
  const early = await readEarly(run, config, maxBytes - checkpoint.length);
  const own = ownConfigIn(checkpoint, weights.path);
  if (own) return `its network is a module, ${own.name}, and a page holds only the library`;
  return { checkpoint, early, judge };
}

/** Reads the early weights of a run without labels for autoguidance, if they are small enough. */
async function readEarly(
  run: string,
  { conditional, guidance }: Readonly<Record<string, unknown>>,
  most: number,
): Promise<LiveNetwork["early"]> {
  if (conditional === true || typeof guidance !== "number" || guidance === 1) return undefined;
  const early = findEarlyWeights(run);
  if (!early || early.size > most) return undefined;
  return { checkpoint: await readCheckpoint(early.path, run), guidance };
}

/** Reads weights and checks that they can be decoded. */
async function readCheckpoint(path: string, run: string): Promise<Uint8Array> {
  const bytes = await readFile(path, run);
  decodeCheckpoint(bytes, path);
  return bytes;
}
