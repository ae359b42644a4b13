import { join } from "node:path";
import { UserError } from "../../kernels/mod.ts";
import { encodeRasterPng, figureRow, rasterizer } from "../../viz/mod.ts";
import { figurePage, type Passage, type StudyFindings } from "../../viz/report/mod.ts";
import { drawTrajectories, type PictureOptions, trajectoryRows } from "../draw/trajectory_picture.ts";
import { findTrajectories } from "../draw/trajectories.ts";
import type { RunTrajectories } from "../draw/stored_trajectories.ts";
import { compareModels } from "../report/compare_models.ts";
import { writeReport } from "../report/write_report.ts";
import { writeAtomic, writeJson } from "../run/run_folder.ts";
import { findEarlyWeights, findWeights } from "../run/weights.ts";
import { readResults } from "./cell_result.ts";
import { cellFolder, requireStudy, type Study } from "./study.ts";
import { conclude } from "./conclusion.ts";
import { qualityFigures } from "./quality_figures.ts";
import { type Setup, sharedSeed, summarizeStudy } from "./summary.ts";
import { csvOf, metricsOf, studyMarkdown, tablesOf } from "./tables.ts";

/** The files with the results of a study, in its folder. */
export const resultFile = {
  /** All numbers: setups, differences, and the conclusion. */
  results: "results.json",
  /** The conclusion and the tables, in Markdown. */
  table: "table.md",
  /** Every mean and difference, one per line. */
  csv: "table.csv",
  /** Quality against images, parameters and seconds. */
  figure: "figure.html",
  svg: "figure.svg",
  png: "figure.png",
  /** Samples of all setups from the same noise. */
  gif: "comparison.gif",
  /** All runs under one slider. */
  report: "report.html",
} as const;

/** The outcome of a study. */
export interface StudyOutcome {
  /** The conclusion, see {@linkcode conclude}. */
  readonly conclusion: readonly Passage[];
  /** Means of the setups by metric, see {@linkcode metricsOf}. */
  readonly metrics: Readonly<Record<string, number>>;
  /** One line per result that cannot be read, and per file that could not be created. */
  readonly problems: readonly string[];
}

/**
 * Writes the results of a study into its folder, see {@linkcode resultFile}; for an unfinished study, those of its
 * finished cells. Networks run on the device in use.
 *
 * @throws {RunError} if there is no study, or a file cannot be written
 */
export async function writeResults(folder: string): Promise<StudyOutcome> {
  const study = await requireStudy(folder);
  const { plan, digest, cells } = study;
  const { results, unfinished, problems: unreadable } = await readResults(study);
  const summary = summarizeStudy(cells, results);
  const { setups } = summary;
  const conclusion = conclude(plan, summary);
  const tables = tablesOf(summary);
  const title = `Study ${plan.name}`;
  const problems = [...unreadable];
  const put = (name: string, content: string | Uint8Array) => writeAtomic(join(folder, name), content);
  /** If the files of a run are damaged, the results report it, and everything else is written. */
  const attempt = (name: string, make: () => Promise<void>) =>
    make().catch((error) => {
      if (!(error instanceof UserError)) throw error;
      problems.push(`No ${name}: ${error.message}`);
    });
  await put(resultFile.table, studyMarkdown(title, conclusion, tables));
  await put(resultFile.csv, csvOf(summary));
  const figures = qualityFigures(summary);
  if (figures) {
    const svg = figureRow(figures.stills, figures.legend);
    const page = { title, passages: conclusion, figures: figures.figures, note: aboutFigure };
    await put(resultFile.figure, figurePage(page));
    await put(resultFile.svg, svg);
    await put(resultFile.png, encodeRasterPng((await rasterizer())(svg, 1.5)));
  }
  await attempt(resultFile.gif, async () => {
    const gif = await comparisonGif(study, setups);
    if (gif) await put(resultFile.gif, gif);
  });
  if (results.length > 0) {
    const figure = figures &&
      { panels: figures.stills.map(({ svg }) => svg), legend: figures.legend, text: aboutFigure };
    const findings = { title, passages: conclusion, tables, ...figure && { figure } };
    await attempt(resultFile.report, () => writeStudyReport(study, setups, findings));
  }
  const numbers = setups.map(({ asked: _, results: __, dataset: ___, ...setup }) => setup);
  await writeJson(join(folder, resultFile.results), {
    version: 1,
    plan: plan.name,
    digest,
    ...summary,
    setups: numbers,
    conclusion,
    unfinished: unfinished.map(({ id }) => id),
    problems,
  });
  return { conclusion, metrics: metricsOf(summary), problems };
}

const aboutFigure =
  "Means over seeds, with 95 % intervals by Student's t. Quality is measured on samples after training, or also during " +
  "it where there are milestones. Real images are training images, measured like samples. A cost that is the same for " +
  "all setups has no panel.";

const maxSetups = 12;
const maxSamples = 5;
/** Fewer frames than in the animation of a run, because this one is larger. */
const animation: PictureOptions = {
  format: "gif",
  field: "none",
  map: null,
  pacing: "linear",
  frames: 40,
  scale: 4,
  delay: 50,
  hold: 1500,
};

/**
 * Animates samples of all setups from the same noise, one row per setup, for the seed that most setups have finished.
 *
 * @returns the GIF; undefined unless two setups have flows of the same seed
 * @throws {RunError} if a flow cannot be read, or images of setups differ in size
 */
async function comparisonGif(study: Study, setups: readonly Setup[]): Promise<Uint8Array | undefined> {
  const seed = sharedSeed(setups);
  const flows: (RunTrajectories & { readonly label: string })[] = [];
  for (const { label, results } of setups) {
    const result = results.find((result) => result.seed === seed);
    if (!result || flows.length === maxSetups) continue;
    const samples = await findTrajectories(cellFolder(study, { id: result.cell }));
    if (samples.length > 0) flows.push({ name: result.cell, key: result.cell, samples, label });
  }
  if (flows.length < 2) return undefined;
  const common = flows[0].samples.map(({ k }) => k)
    .filter((k) => flows.every(({ samples }) => samples.some((sample) => sample.k === k)));
  const { rows, warning: _, ...words } = trajectoryRows(flows, common.slice(0, maxSamples));
  const labelled = rows.map((row, i) => ({ ...row, label: flows[i].label }));
  return (await drawTrajectories({ ...words, rows: labelled }, animation)).bytes;
}

/** Maximum number of runs to compare velocities of; the work grows with its square. */
const maxCompared = 10;
/** Maximum bytes of weights in a report. */
const maxWeights = 4 * 2 ** 20;

/**
 * Writes the report on all finished runs of a study under one slider, with the study's findings above them. The velocities
 * of one run per setup are compared at the same points.
 *
 * @throws {RunError} if a file cannot be read or written
 */
async function writeStudyReport(
  study: Study,
  setups: readonly Setup[],
  findings: StudyFindings,
): Promise<void> {
  const results = setups.flatMap(({ results }) => results);
  const runs = results.map(({ cell }) => cellFolder(study, { id: cell }));
  const weights = runs.map((run) => findWeights(run)?.size);
  const early = runs.map((run) => findEarlyWeights(run)?.size ?? 0);
  const bytes = [...weights, ...early].reduce<number>((sum, size = 0) => sum + size, 0);
  const seed = sharedSeed(setups);
  const compared = [...runs.keys()].filter((i) => results[i].seed === seed && weights[i] !== undefined)
    .slice(0, maxCompared);
  await writeReport(runs, join(study.folder, resultFile.report), {
    study: findings,
    live: bytes <= maxWeights ||
      `the report on a study holds at most ${
        maxWeights >> 20
      } MiB of weights; open the report on the run instead`,
    ...compared.length > 1 && {
      compare: async () => {
        const comparison = await compareModels(compared.map((i) => runs[i]));
        return comparison && { ...comparison, runs: compared };
      },
    },
  });
}
