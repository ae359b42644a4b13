/** Plants faults of growing strength in real test images of digits, and in samples, and prints how every figure of every
 * judge changes: the table in `docs/judge.md`.
 *
 * `deno run --allow-read --lock=deno.lock tools/planted_faults.ts [--count 1000]`
 */
import { parseArgs } from "node:util";
import { init } from "../kernels/mod.ts";
import { asBytes, type Estimate, loadCheckpoint, type Points } from "../models/mod.ts";
import { type Dataset, firstIndices } from "../experiments/data/dataset.ts";
import { loadDataset } from "../experiments/data/load_dataset.ts";
import { balancedClasses } from "../experiments/draw/conditioning.ts";
import { drawSamples } from "../experiments/draw/samples.ts";
import {
  type FigureKey,
  figureKey,
  figureMeanings,
  figureNames,
  figuresByKey,
  meaningOf,
  shownFigure,
  titleOf,
} from "../experiments/evaluation/figures.ts";
import { imagesAt } from "../experiments/evaluation/image_sets.ts";
import { judgeSamples } from "../experiments/evaluation/judged.ts";
import { type JudgedData, judgedData, type Labelled } from "../experiments/evaluation/data_judge.ts";
import { blurred, broken, grainy, thinned } from "../experiments/evaluation/faults.ts";
import { judgesOf } from "../experiments/evaluation/find_judge.ts";
import { memorisation } from "../experiments/evaluation/memorisation.ts";
import { makeSolver } from "../experiments/cli/solver.ts";

/** Images with their requested classes. */
export interface PlantedSet {
  /** f32[N, C, H, W], 0 black to 1 white. */
  readonly pixels: Float32Array;
  readonly labels: ArrayLike<number>;
}

/** Real images to plant faults in, and the data from which replacements are taken. */
export interface Material extends PlantedSet {
  readonly data: JudgedData;
  /** Index of the first test image that is neither in this set nor in the reference. */
  readonly firstUnused: number;
}

/** A fault that can be planted. */
export interface PlantedFault {
  /** The meaning of its strength. */
  readonly about: string;
  /** From weak to strong. */
  readonly strengths: readonly number[];
  plant(material: Material, strength: number): PlantedSet | Promise<PlantedSet>;
}

/** The class that is missing. */
const missing = 4;
const seed = 0;

/** The faults by name. */
export const plantedFaults = {
  blur: {
    about: "Gaussian, standard deviation in pixels",
    strengths: [0.4, 0.55, 0.7],
    plant: (set, sigma) => changed(set, blurred(set.pixels, set.data, sigma)),
  },
  grain: {
    about: "normal noise, standard deviation",
    strengths: [0.03, 0.06, 0.12],
    plant: (set, sigma) => changed(set, grainy(set.pixels, sigma, seed)),
  },
  thinning: {
    about: "share of an erosion by one pixel",
    strengths: [0.15, 0.3, 0.6],
    plant: (set, share) => changed(set, thinned(set.pixels, set.data, share)),
  },
  "shifted strokes": {
    about: "lower half moved right, pixels",
    strengths: [1, 2, 3],
    plant: (set, by) => changed(set, broken(set.pixels, set.data, by)),
  },
  "missing class": {
    about: "share of the fours replaced by other digits",
    strengths: [0.25, 0.5, 1],
    plant: withoutClass,
  },
  copies: {
    about: "share of copied training images",
    strengths: [0.1, 0.3, 1],
    plant: withCopies,
  },
  "few steps": {
    about: "samples by Euler with 16, 8 and 4 steps",
    strengths: [16, 8, 4],
    plant: ({ data, labels }, steps) => drawn(data, labels.length, `euler:steps=${steps}`),
  },
} as const satisfies Readonly<Record<string, PlantedFault>>;

function changed({ labels }: Material, pixels: Float32Array): PlantedSet {
  return { pixels: asBytes(pixels), labels };
}

/** Replaces the images and labels at `places` by those of another set, in the order of `from`. */
function replaced(
  { pixels, labels }: PlantedSet,
  places: readonly number[],
  by: Labelled,
  from: number[],
): PlantedSet {
  const P = pixels.length / labels.length;
  const result = { pixels: pixels.slice(), labels: Uint8Array.from(labels) };
  places.forEach((n, i) => {
    result.pixels.set(imagesAt(by, Uint32Array.of(from[i])).values, n * P);
    result.labels[n] = by.labels[from[i]];
  });
  return result;
}

function withoutClass(material: Material, share: number): PlantedSet {
  const { labels, data: { test }, firstUnused } = material;
  const places = Array.from(labels).flatMap((label, n) => label === missing ? [n] : []);
  const from = [...firstIndices(test.count)].slice(firstUnused).filter((n) => test.labels[n] !== missing);
  return replaced(material, places.slice(0, Math.round(share * places.length)), test, from);
}

function withCopies(material: Material, share: number): PlantedSet {
  const { labels, data: { train } } = material;
  const places = Array.from({ length: Math.round(share * labels.length) }, (_, n) => n);
  return replaced(material, places, train, [...firstIndices(train.count)]);
}

/** Draws samples of `mnist_classes` with guidance 1.4, as `docs/judge.md` describes. */
async function drawn({ classes }: Dataset, count: number, solver: string): Promise<PlantedSet> {
  const file = new URL("../checkpoints/mnist_classes.safetensors", import.meta.url);
  const { model, info: { normalization }, shape } = loadCheckpoint(await Deno.readFile(file), "the network");
  const conditioning = balancedClasses(count, classes, { scale: 1.4 });
  const { how } = makeSolver(solver);
  const { pixels } = await drawSamples({ model, normalization, shape }, {
    count,
    seed,
    conditioning,
    ...how,
  });
  return { pixels: asBytes(pixels), labels: conditioning.labels };
}

/** Real images to plant faults in, and as many different test images to compare with. */
export function materialOf(data: JudgedData, count: number): { material: Material; reference: Float32Array } {
  const [first, second] = [0, count].map((from) => firstIndices(from + count).slice(from));
  return {
    reference: imagesAt(data.test, first).values,
    material: {
      data,
      pixels: imagesAt(data.test, second).values,
      labels: Uint8Array.from(second, (n) => data.test.labels[n]),
      firstUnused: 2 * count,
    },
  };
}

/** Whether a figure is worse than its base, beyond both intervals. */
export function isWorse(key: FigureKey, figure: Estimate, base: Estimate): boolean {
  const [isBelow, isAbove] = [figure.high < base.low, figure.low > base.high];
  const { better } = meaningOf(key);
  return better === "higher" ? isBelow : better === "lower" ? isAbove : isBelow || isAbove;
}

type Figures = Readonly<Partial<Record<FigureKey, Estimate>>>;

/** A row of the table: each figure by each judge, in bold if it is worse than its base. */
function rowOf(label: string, figures: Figures, base: Figures): string[] {
  const cells = figureNames.flatMap((name) => {
    const keys = [...figuresByKey].flatMap(([key, of]) => of.name === name && figures[key] ? [key] : []);
    const shown = keys.map((key) => {
      const text = shownFigure(key, Number(figures[key]!.value.toPrecision(3))).replace(" %", "");
      return isWorse(key, figures[key]!, base[key]!) ? `**${text}**` : text;
    });
    return keys.length > 0 ? [shown.join(" / ")] : [];
  });
  return [label, ...cells];
}

/** Prints the table. */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { count: { type: "string", default: "1000" } } });
  const device = await init({ device: "cpu" });
  const data = judgedData(await loadDataset());
  const judges = await judgesOf(data, { say: console.error });
  const { material, reference } = materialOf(data, Number(values.count));
  const asPoints = (pixels: Float32Array): Points => {
    const width = data.channels * data.height * data.width;
    return { values: pixels, rows: pixels.length / width, width };
  };
  const train = imagesAt(data.train, firstIndices(10 * material.labels.length));
  const figuresOf = async ({ pixels, labels }: PlantedSet): Promise<Figures> => {
    const { authentic, copying } = await memorisation(train, asPoints(reference), asPoints(pixels));
    return { ...await judgeSamples(judges, reference, pixels, labels), authentic, copying };
  };
  const real = await figuresOf(material);
  const samples = await figuresOf(await drawn(data, material.labels.length, "heun:steps=20"));
  const names = figureNames.filter((name) => real[figureKey(name)]);
  const rows: string[][] = [rowOf("none", real, real)];
  const blind: string[] = [];
  for (const [name, fault] of Object.entries(plantedFaults)) {
    const { strengths, plant }: PlantedFault = fault;
    const base = plant === plantedFaults["few steps"].plant ? samples : real;
    if (base === samples) rows.push(rowOf("samples, Heun with 20 steps", samples, real));
    for (const strength of strengths) {
      const faulty = await figuresOf(await plant(material, strength));
      rows.push(rowOf(`${name} ${strength}`, faulty, base));
      if (strength !== strengths.at(-1)) continue;
      const unseen = [...figuresByKey.keys()].filter((key) =>
        base[key] && !isWorse(key, faulty[key]!, base[key])
      );
      blind.push(`- ${name}: ${unseen.map(titleOf).join(", ") || "none"}`);
    }
  }
  const head = ["fault", ...names.map((name) => figureMeanings[name].title)];
  const rule = head.map((_, i) => i > 0 ? "--:" : "---");
  console.log([head, rule, ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n"));
  console.log(`\nFigures that do not detect the strongest fault of each kind:\n\n${blind.join("\n")}`);
  device.close();
}

if (import.meta.main) await main();
