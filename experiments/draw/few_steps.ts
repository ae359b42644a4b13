import { evaluationsOf } from "../../models/mod.ts";
import { captionedGrid, encodeRasterPng, rasterizer } from "../../viz/mod.ts";
import { makeSolver } from "../settings/solver.ts";
import { type Conditioning, formatGuidance } from "./conditioning.ts";
import { isFlowMap } from "./chosen_solver.ts";
import { type Drawable, drawSamples } from "./samples.ts";

/** A row of the picture: a network, how it is solved, and from which noise. */
export interface FewStepsRow {
  readonly drawable: Drawable;
  readonly solver: string;
  readonly conditioning?: Conditioning | undefined;
  /** Left of the row, such as `flow, 4`. */
  readonly caption: string;
}

const numbers = [1, 2, 4, 8];
/** Evaluations of the last row. */
const many = 20;

/** Evaluations of all rows of a network. */
export const comparedEvaluations = [...numbers, many].reduce((a, b) => a + b);

/** The rows of a network: 1, 2, 4, 8 and 20 evaluations, by its map if it is one, else by Euler's and Heun's methods. */
export function fewStepsRows(drawable: Drawable, conditioning: Conditioning | undefined): FewStepsRow[] {
  const [name, solver] = isFlowMap(drawable.model) ? ["map", "map"] : ["flow", "euler"];
  const row = (solver: string, evaluations: number, name: string) => ({
    ...{ drawable, conditioning, solver, caption: `${name}, ${evaluations}` },
  });
  return [
    ...numbers.map((n) => row(`${solver}:steps=${n}`, n, name)),
    row(`heun:steps=${many / 2}`, many, "flow"),
  ];
}

/**
 * Draws images from the same noise with few evaluations and many, a row each.
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
  const captions = {
    rows: rows.map(({ caption }) => caption),
    ...headings && { columns: headings },
    note: `Evaluations of the network, from the same noise${guidance}`,
  };
  const scale = Math.max(1, Math.round(56 / shape[2]));
  const grid = captionedGrid([rows.length, count], shape, { captions, scale });
  return encodeRasterPng((await rasterizer())(grid.svg(images)));
}
