import {
  type FigureMeaning,
  figureMeanings,
  type FigureName,
  figureNames,
} from "../../evaluation/figures.ts";
import type { CellSettings } from "../plan.ts";
import type { StudyRecord } from "../record.ts";
import { type Contrast, contrastsOf } from "./contrasts.ts";
import {
  type BySeed,
  meanOverSeeds,
  pairedDifference,
  type SeedDifference,
  type SeedMean,
  shareOverSeeds,
} from "./seed_intervals.ts";
import { type Setup, variedSettings } from "./setups.ts";

/** What the runs of a setup measured, over its seeds. */
export interface SetupSummary {
  readonly label: string;
  readonly settings: CellSettings;
  readonly parameters: number;
  /** Of one forward pass of one image. */
  readonly multiplyAdds: number;
  readonly seeds: { readonly planned: number; readonly finished: number };
  /** Means over seeds; none if no run is finished. */
  readonly images?: number;
  readonly seconds?: SeedMean;
  readonly figures: Readonly<Partial<Record<FigureName, SeedMean>>>;
  /** By solver, cheapest first. */
  readonly costs: readonly SolverSummary[];
  /** By images, where all seeds measured. */
  readonly course: readonly CoursePoint[];
}

/** How good the samples of a solver are. */
export interface SolverSummary {
  readonly solver: string;
  /** Evaluations of the network for a sample; the mean where runs differ. */
  readonly evaluations: number;
  readonly frechet: SeedMean;
  readonly recognised: SeedMean;
}

/** Quality on the way. */
export interface CoursePoint {
  readonly images: number;
  readonly seconds: number;
  readonly frechet: SeedMean;
}

/** How two setups differ that differ in one choice. */
export interface Difference {
  readonly setting: string;
  /** Labels of the setups: figures are those of a minus those of b. */
  readonly a: string;
  readonly b: string;
  /** Of a to those of b. */
  readonly ratio: {
    readonly parameters: number;
    readonly multiplyAdds: number;
    /** Of training; none if no run of one is finished. */
    readonly seconds?: number;
  };
  readonly figures: Readonly<Partial<Record<FigureName, SeedDifference>>>;
}

/** All that a study measured. */
export interface Summary {
  readonly setups: readonly SetupSummary[];
  readonly differences: readonly Difference[];
  /** The figure that the conclusion is about: the Fréchet distance, or the test loss without a judge. */
  readonly primary?: FigureName;
  /** Settings that are not the same for all setups. */
  readonly varied: readonly string[];
}

/** Sums up the finished runs of a study. */
export function summarize(setups: readonly Setup[]): Summary {
  const summaries = setups.map(summaryOf);
  const primary = (["frechet", "test_loss"] as const).find((name) =>
    summaries.some(({ figures }) => figures[name])
  );
  return {
    setups: summaries,
    differences: contrastsOf(setups).map(differenceOf),
    ...primary && { primary },
    varied: variedSettings(setups.map(({ settings }) => settings)),
  };
}

function summaryOf({ label, settings, parameters, multiplyAdds, cells, records }: Setup): SetupSummary {
  const images = meanOverSeeds(bySeed(records, ({ images }) => images));
  const seconds = meanOverSeeds(bySeed(records, ({ seconds }) => seconds));
  return {
    ...{ label, settings, parameters, multiplyAdds },
    seeds: { planned: cells.length, finished: records.length },
    ...images && { images: images.mean },
    ...seconds && { seconds },
    figures: figuresOf((name) => {
      const { share }: FigureMeaning = figureMeanings[name];
      return (share ? shareOverSeeds : meanOverSeeds)(bySeed(records, ({ figures }) => figures[name]));
    }),
    costs: costsOf(records),
    course: courseOf(records),
  };
}

function differenceOf({ setting, a, b }: Contrast): Difference {
  const ratio = (of: (setup: Setup) => number | undefined) => (of(a) ?? NaN) / (of(b) ?? NaN);
  const seconds = ratio(({ records }) => meanOverSeeds(bySeed(records, ({ seconds }) => seconds))?.mean);
  return {
    ...{ setting, a: a.label, b: b.label },
    ratio: {
      parameters: ratio(({ parameters }) => parameters),
      multiplyAdds: ratio(({ multiplyAdds }) => multiplyAdds),
      ...Number.isFinite(seconds) && { seconds },
    },
    figures: figuresOf((name) => {
      const [ofA, ofB] = [a, b].map(({ records }) => bySeed(records, ({ figures }) => figures[name]));
      return pairedDifference(ofA, ofB);
    }),
  };
}

/** What every figure gives, without those that give nothing. */
function figuresOf<Found>(of: (name: FigureName) => Found | undefined): Partial<Record<FigureName, Found>> {
  return Object.fromEntries(figureNames.flatMap((name) => {
    const found = of(name);
    return found === undefined ? [] : [[name, found]];
  }));
}

/** A number of each record that has it. */
function bySeed(records: readonly StudyRecord[], of: (record: StudyRecord) => number | undefined): BySeed {
  return new Map(records.flatMap((record) => {
    const value = of(record);
    return value === undefined ? [] : [[record.seed, value]];
  }));
}

function costsOf(records: readonly StudyRecord[]): SolverSummary[] {
  const solvers = new Set(records.flatMap(({ costs = [] }) => costs.map(({ solver }) => solver)));
  return [...solvers].map((solver) => {
    type Cost = NonNullable<StudyRecord["costs"]>[number];
    const values = (of: (cost: Cost) => number) =>
      bySeed(records, ({ costs }) => {
        const cost = costs?.find((cost) => cost.solver === solver);
        return cost && of(cost);
      });
    return {
      solver,
      evaluations: meanOverSeeds(values(({ evaluations }) => evaluations))!.mean,
      frechet: meanOverSeeds(values(({ frechet }) => frechet))!,
      recognised: shareOverSeeds(values(({ recognised }) => recognised))!,
    };
  }).toSorted((a, b) => a.evaluations - b.evaluations);
}

/** Where all finished runs measured after as many images. */
function courseOf(records: readonly StudyRecord[]): CoursePoint[] {
  const [first, ...others] = records;
  return (first?.course ?? []).flatMap(({ images }) => {
    const points = records.flatMap(({ seed, course }) => {
      const point = course?.find((point) => point.images === images);
      return point ? [{ seed, ...point }] : [];
    });
    if (points.length <= others.length) return [];
    const seconds = points.reduce((sum, { seconds }) => sum + seconds, 0) / points.length;
    return [{
      images,
      seconds,
      frechet: meanOverSeeds(new Map(points.map(({ seed, frechet }) => [seed, frechet])))!,
    }];
  });
}
