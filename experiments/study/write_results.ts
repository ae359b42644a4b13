import { join } from "node:path";
import { init, UserError } from "../../kernels/mod.ts";
import { figurePage, type Passage, type TextTable } from "../../viz/report/mod.ts";
import { drawTrajectories, trajectoryRows } from "../draw/pictures.ts";
import { findTrajectories } from "../draw/trajectories.ts";
import { writeAtomic } from "../run/run_folder.ts";
import { compareModels } from "../report/compare_models.ts";
import { writeReport } from "../report/write_report.ts";
import { findEarlyWeights, findWeights } from "../run/weights.ts";
import { conclude, metricsOf, qualityFigure, tablesOf } from "./findings.ts";
import { cellFolder, type Study } from "./study.ts";
import { type CellResult, readResults, type Setup, summarizeStudy } from "./summary.ts";

/**
 * Writes the results of the finished cells into the folder of a study: `study.md`, `study.html`, `study.csv`,
 * `comparison.gif` and `report.html`; returns what they say, and one line per file that could not be made.
 */
export async function writeResults(
  study: Study,
  how: { readonly device: "auto" | "webgpu" | "cpu"; readonly threads: number },
) {
  const { folder, plan } = study;
  const results = await readResults(study);
  const summary = summarizeStudy(study.cells, results);
  const passages = conclude(study, summary);
  const tables = tablesOf(summary);
  const title = `Study ${plan.name}`;
  const conclusion = passages.map(passageText).join("\n\n");
  await writeAtomic(join(folder, "study.md"), markdownOf(title, conclusion, tables));
  await writeAtomic(join(folder, "study.csv"), csvOf(results));
  const quality = qualityFigure(summary);
  const page = {
    title,
    passages,
    figures: quality ? [quality] : [],
    tables,
    note: `${quality ? `${caption} ` : ""}${note}`,
  };
  await writeAtomic(join(folder, "study.html"), figurePage(page));
  const problems: string[] = [];
  /** If the files of a run are damaged, everything else is written. */
  const attempt = (name: string, make: () => Promise<void>) =>
    make().catch((error) => {
      if (!(error instanceof UserError)) throw error;
      problems.push(`No ${name}: ${error.message}`);
    });
  await attempt("comparison.gif", () => writeGif(study, summary.setups));
  if (results.length > 0) {
    const device = await init(how);
    await attempt("report.html", () => writeStudyReport(study, summary.setups));
    device.close();
  }
  const isFinished = results.length === study.cells.length;
  return { conclusion, setups: tables[0], isFinished, metrics: metricsOf(summary), problems };
}

const caption =
  "Means over seeds, with 95 % intervals by Student's t, after training and at milestones. Real images are training images.";

const note =
  "Intervals are 95 % confidence intervals of the mean over seeds, by Student's t; differences are taken within each " +
  "seed, whose runs share the order of data, noise and times.";

function markdownOf(title: string, conclusion: string, tables: readonly TextTable[]): string {
  const parts = tables.map(({ title, head, rows }) => `## ${title}\n\n${markdownTable(head, rows)}`);
  return [`# ${title}`, conclusion, ...parts, note].join("\n\n") + "\n";
}

/** A passage in Markdown that also reads well as plain text. */
function passageText(passage: Passage): string {
  if (typeof passage === "string") return passage;
  return [`${passage.heading}:\n`, ...passage.items.map((item) => `- ${item}`)].join("\n");
}

/** A Markdown table with aligned columns; all but the first contain numbers. */
function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows].map((row) => row.map((cell) => cell.replaceAll("|", "\\|")));
  const widths = head.map((_, column) => Math.max(4, ...all.map((row) => [...row[column]].length)));
  const rule = widths.map((width, column) => column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`);
  const lines = all.map((row) =>
    row.map((cell, column) => {
      const space = " ".repeat(widths[column] - [...cell].length);
      return column === 0 ? cell + space : space + cell;
    })
  );
  return [lines[0], rule, ...lines.slice(1)].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** One line per finished cell: its settings, costs and figures. */
function csvOf(results: readonly CellResult[]): string {
  const settings = Object.keys(results[0]?.settings ?? {});
  const keys = [...new Set(results.flatMap(({ figures }) => Object.keys(figures)))];
  const quoted = (value: string | number | boolean) =>
    /[",\n]/.test(`${value}`) ? `"${`${value}`.replaceAll('"', '""')}"` : value;
  const head = ["cell", "seed", ...settings, "parameters", "multiply_adds", "images", "seconds", ...keys];
  const lines = results.map(({ cell, seed, parameters, multiplyAdds, images, seconds, ...result }) => [
    ...[cell, seed, ...settings.map((name) => result.settings[name])],
    ...[parameters, multiplyAdds, images, seconds, ...keys.map((key) => result.figures[key] ?? "")],
  ]);
  return [head, ...lines].map((cells) => cells.map(quoted).join(",") + "\n").join("");
}

/** The seed that most setups have finished; the first one in a tie. */
function sharedSeed(setups: readonly Setup[]): number | undefined {
  const runs = Map.groupBy(setups.flatMap(({ results }) => results), ({ seed }) => seed);
  const [best] = [...runs].toSorted(([a, x], [b, y]) => y.length - x.length || a - b);
  return best?.[0];
}

/** Limits of the animation, which is larger than that of a run. */
const [maxSetups, maxSamples, frames] = [12, 5, 40];

/** Animates samples of the setups from the same noise, one row per setup, unless fewer than two have trajectories. */
async function writeGif(study: Study, setups: readonly Setup[]): Promise<void> {
  const seed = sharedSeed(setups);
  const runs: (Parameters<typeof trajectoryRows>[0][number] & { readonly label: string })[] = [];
  for (const { label, results } of setups) {
    const result = results.find((result) => result.seed === seed);
    if (!result || runs.length === maxSetups) continue;
    const samples = await findTrajectories(cellFolder(study, { id: result.cell }));
    if (samples.length > 0) runs.push({ name: result.cell, key: result.cell, samples, label });
  }
  if (runs.length < 2) return;
  const common = runs[0].samples.map(({ k }) => k)
    .filter((k) => runs.every(({ samples }) => samples.some((sample) => sample.k === k)));
  const { rows, ...words } = trajectoryRows(runs, common.slice(0, maxSamples));
  const { bytes } = await drawTrajectories(
    { ...words, rows: rows.map((row, i) => ({ ...row, label: runs[i].label })) },
    { format: "gif", field: "none", map: null, pacing: "linear", frames, scale: 4, delay: 50, hold: 1500 },
  );
  await writeAtomic(join(study.folder, "comparison.gif"), bytes);
}

/** Maximum number of runs to compare velocities of; the work grows with its square. */
const maxCompared = 10;
/** Maximum size of weights in a report. */
const maxMiB = 4;

/**
 * Writes the report on all finished runs of a study under one slider. The velocities of one run per setup are compared at the same points, on the device in use.
 */
async function writeStudyReport(study: Study, setups: readonly Setup[]): Promise<void> {
  const results = setups.flatMap(({ results }) => results);
  const runs = results.map(({ cell }) => cellFolder(study, { id: cell }));
  const weights = runs.flatMap((run) => [findWeights(run), findEarlyWeights(run)]);
  const bytes = weights.reduce((sum, file) => sum + (file?.size ?? 0), 0);
  const seed = sharedSeed(setups);
  const compared = [...runs.keys()].filter((i) => results[i].seed === seed).slice(0, maxCompared);
  await writeReport(runs, join(study.folder, "report.html"), {
    live: bytes <= maxMiB * 2 ** 20 ||
      `the report on a study holds at most ${maxMiB} MiB of weights; open the report on the run instead`,
    ...compared.length > 1 && {
      compare: async () => {
        const comparison = await compareModels(compared.map((i) => runs[i]));
        return comparison && { ...comparison, runs: compared };
      },
    },
  });
}
