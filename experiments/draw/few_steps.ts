import { evaluationsOf } from "../../models/mod.ts";
import { captionedGrid, encodeRasterPng, rasterizer } from "../../viz/mod.ts";
import { makeSolver } from "../cli/solver.ts";
import { type Conditioning, formatGuidance } from "./conditioning.ts";
import { isFlowMap } from "./chosen_solver.ts";
import { type Drawable, drawSamples } from "./samples.ts";

/** A row of the picture: a network, its solver, and the conditioning of its samples. */
export interface FewStepsRow {
  readonly drawable: Drawable;
  readonly solver: string;
  readonly conditioning?: Conditioning | undefined;
  /** Caption to the left of the row, such as `flow, 4`. */
  readonly caption: string;
}

const numbers = [1, 2, 4, 8];
/** Evaluations of the last row. */
const maxEvaluations = 20;

/** Evaluations of all rows of a network. */
export const comparedEvaluations = [...numbers, maxEvaluations].reduce((a, b) => a + b);

/** The rows of a network: 1, 2, 4, 8 and 20 evaluations, by its map if it is one, else by Euler's and Heun's methods. */
export function fewStepsRows(drawable: Drawable, conditioning: Conditioning | undefined): FewStepsRow[] {
  const [name, solver] = isFlowMap(drawable.model) ? ["map", "map"] : ["flow", "euler"];
  const row = (solver: string, evaluations: number, name: string) => ({
    ...{ drawable, conditioning, solver, caption: `${name}, ${evaluations}` },
  });
  return [
    ...numbers.map((n) => row(`${solver}:steps=${n}`, n, name)),
    row(`heun:steps=${maxEvaluations / 2}`, maxEvaluations, "flow"),
  ];
}

/**
 * Compares the sharpness of images from one evaluation with those from many. Sharpness is the mean square difference
 * between neighbouring pixels over their variance; because of the squares, edges count a lot, and grain hardly.
 *
 * @param name of the network
 * @param width of an image
 * @returns undefined if they are neither blurred nor sharp
 */
export function sharpnessFinding(
  name: string,
  [one, many]: readonly [one: readonly Float32Array[], many: readonly Float32Array[]],
  width: number,
): string | undefined {
  const ratio = sharpnessOf(one, width) / sharpnessOf(many, width);
  if (ratio < 0.6) return `images from one evaluation of the ${name} are blurred`;
  return ratio > 0.8
    ? `images from one evaluation of the ${name} are about as sharp as from ${maxEvaluations}`
    : undefined;
}

function sharpnessOf(images: readonly Float32Array[], width: number): number {
  let [differences, spread] = [0, 0];
  for (const image of images) {
    const mean = image.reduce((sum, value) => sum + value, 0) / image.length;
    for (let i = 0; i < image.length; i++) {
      spread += (image[i] - mean) ** 2;
      if (i % width > 0) differences += (image[i] - image[i - 1]) ** 2;
    }
  }
  return differences / spread;
}

/**
 * Draws images from the same noise with few and many evaluations, one row per number.
 *
 * @param count images in a row
 * @param headings above the columns, such as classes
 * @returns a PNG
 */
export async function fewStepsPicture(
  rows: readonly FewStepsRow[],
  { count, seed, headings }: {
    readonly count: number;
    readonly seed: number;
    readonly headings: readonly string[] | undefined;
  },
  onProgress: (evaluations: number) => void = () => {},
): Promise<Uint8Array> {
  const images: Float32Array[] = [];
  let evaluations = 0;
  for (const { drawable, solver, conditioning } of rows) {
    const { how } = makeSolver(solver);
    const each = evaluationsOf(how)!;
    const { pixels } = await drawSamples(
      drawable,
      { count, seed, conditioning, ...how },
      (done) => onProgress(evaluations + done * each),
    );
    const size = pixels.length / count;
    for (let n = 0; n < count; n++) images.push(pixels.subarray(n * size, (n + 1) * size));
    evaluations += each * count;
  }
  const { shape } = rows[0].drawable;
  const [{ conditioning }] = rows;
  const guidance = conditioning ? `; ${formatGuidance(conditioning.guidance)}` : "";
  const ofRow = (row: number) => images.slice(row * count, (row + 1) * count);
  const [many, ...ofOthers] = [...Map.groupBy(rows.keys(), (row) => rows[row].drawable).values()];
  const findings = [many, ...ofOthers].flatMap(([first]) =>
    sharpnessFinding(rows[first].caption.split(",")[0], [ofRow(first), ofRow(many.at(-1)!)], shape[2]) ?? []
  ).join(", ");
  const captions = {
    rows: rows.map(({ caption }) => caption),
    ...headings && { columns: headings },
    ...findings !== "" && { title: findings[0].toUpperCase() + findings.slice(1) },
    note: `Evaluations of the network, from the same noise${guidance}`,
  };
  const width = Math.min(112, Math.max(56, 560 / count)); // few columns are wider, for their captions
  const scale = Math.max(1, Math.round(width / shape[2]));
  const grid = captionedGrid([rows.length, count], shape, { captions, scale });
  return encodeRasterPng((await rasterizer())(grid.svg(images)));
}
