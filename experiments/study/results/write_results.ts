import { join } from "node:path";
import { type Device, init, withDevice } from "../../../kernels/mod.ts";
import { encodeRasterPng, figureRow, rasterizer } from "../../../viz/mod.ts";
import { figurePage } from "../../../viz/report/mod.ts";
import { UserError } from "../../../kernels/core/user_error.ts";
import { writeAtomic } from "../../run/atomic_write.ts";
import { readRecords, type Study } from "../study.ts";
import { requireStudy } from "../study_file.ts";
import { comparisonGif } from "./comparison_gif.ts";
import { conclude, passagesOf, type Sentence } from "./conclusion.ts";
import { csvOf } from "./csv.ts";
import { comparesNetworks, networkReach } from "./network_reach.ts";
import { qualityFigures } from "./quality_figures.ts";
import { resultFile } from "./result_files.ts";
import { type Setup, setupsOf } from "./setups.ts";
import { studyMarkdown } from "./study_markdown.ts";
import { writeStudyReport } from "./study_report.ts";
import { summarize, type Summary } from "./summary.ts";
import { tablesOf } from "./tables.ts";

/** How results are written. */
export interface ResultOptions {
  /** Computes what needs networks; by default one is opened, and closed at the end. */
  readonly device?: Device;
}

/** What was written of a study. */
export interface Written {
  /** Names of the files in its folder. */
  readonly files: readonly string[];
  /** Ids of the cells that are not finished. */
  readonly unfinished: readonly string[];
  /** A line for each record that cannot be read, and for each file that could not be made. */
  readonly problems: readonly string[];
  /** What can and cannot be concluded. */
  readonly conclusion: readonly Sentence[];
}

/**
 * Writes what comes out of a study into its folder: `results.json`, `table.md`, `table.csv`, `figure.html`, `figure.svg`,
 * `figure.png`, `comparison.gif` and `report.html`, each at once. Of an unfinished study they tell what is there.
 *
 * @param folder of the study
 * @throws {RunError} if there is no study, or a file cannot be written
 */
export async function writeResults(folder: string, { device }: ResultOptions = {}): Promise<Written> {
  const study = await requireStudy(folder);
  const { records, unfinished, problems } = await readRecords(study);
  const results = new Results(
    study,
    setupsOf(study.cells, records),
    problems,
    unfinished.map(({ id }) => id),
  );
  if (records.length === 0) return await results.write();
  if (device) return await withDevice(device, () => results.write());
  const own = await init();
  try {
    return await results.write();
  } finally {
    own.close();
  }
}

class Results {
  readonly #files: string[] = [];
  readonly #problems: string[];
  readonly #summary: Summary;

  constructor(
    readonly study: Study,
    readonly setups: readonly Setup[],
    problems: readonly string[],
    readonly unfinished: readonly string[],
  ) {
    this.#problems = [...problems];
    this.#summary = summarize(setups);
  }

  async write(): Promise<Written> {
    const { study, setups, unfinished } = this;
    const { plan, digest } = study;
    const [summary, problems] = [this.#summary, this.#problems];
    const title = `Study ${plan.name}`;
    const reach = comparesNetworks(setups)
      ? await this.#attempt("networks", () => networkReach(study, setups)) ?? []
      : [];
    const conclusion = conclude({ plan, summary, reach });
    const tables = tablesOf(summary, reach);
    const figures = qualityFigures(summary);
    const svg = figures && figureRow(figures.stills, figures.legend);
    await this.#put(resultFile.table, studyMarkdown(title, conclusion, tables));
    await this.#put(resultFile.csv, csvOf(summary));
    const passages = passagesOf(conclusion);
    if (figures && svg) {
      const plots = figures.figures.map(({ plotly }) => plotly);
      await this.#put(resultFile.figure, figurePage({ title, passages, figures: plots, note: about }));
      await this.#put(resultFile.svg, svg);
      await this.#put(resultFile.png, encodeRasterPng((await rasterizer())(svg, 1.5)));
    }
    const gif = await this.#attempt(resultFile.gif, () => comparisonGif(study, setups));
    if (gif) await this.#put(resultFile.gif, gif.bytes);
    if (setups.some(({ records }) => records.length > 0)) {
      await this.#attempt(resultFile.report, async () => {
        const found = { title, passages, tables, ...svg && { figure: { svg, text: about } } };
        await writeStudyReport(study, setups, found, this.#place(resultFile.report));
        this.#files.push(resultFile.report);
      });
    }
    const results = {
      version: 1,
      plan: plan.name,
      digest,
      ...summary,
      reach,
      conclusion,
      unfinished,
      problems,
    };
    await this.#put(resultFile.results, JSON.stringify(results, null, 2) + "\n");
    return { files: this.#files, unfinished, problems, conclusion };
  }

  /** What could not be made of a run's files is a line in the results; the rest is written. */
  async #attempt<Made>(what: string, make: () => Promise<Made>): Promise<Made | undefined> {
    try {
      return await make();
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      this.#problems.push(`No ${what}: ${error.message}`);
    }
  }

  async #put(name: string, content: string | Uint8Array): Promise<void> {
    await writeAtomic(this.#place(name), content);
    this.#files.push(name);
  }

  #place(name: string): string {
    return join(this.study.folder, name);
  }
}

/** What the figure shows. */
const about =
  "Means over seeds, with 95 % intervals by Student's t; quality is of the samples after training, or on the " +
  "way where it was measured.";
