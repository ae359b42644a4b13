import { join } from "node:path";
import { decodeJudge, encodeSafetensors } from "../../models/mod.ts";
import type { JudgedSamples, LiveJudge } from "../../viz/report/mod.ts";
import { TensorFile, tensorsOf } from "../run/weights.ts";
import { readIfThere, writeAtomic } from "../run/run_folder.ts";
import { runFile } from "../run/files.ts";

const advice = "delete the file, or evaluate the run again";

/** Tensors of `judged.safetensors`, with their shapes. */
const shapesOf = ([N, K, ...size]: readonly number[]) => ({
  image: [N, ...size],
  nearest: [N, K, ...size],
  confidence: [N],
  classes: [N],
  rank: [N],
});

/** Tensors of a second judge. */
const secondShapes = (N: number) => ({ second_confidence: [N], second_classes: [N] });

function readSecond(file: TensorFile, N: number): NonNullable<JudgedSamples["second"]> {
  const { second_confidence: confidence, second_classes: classes } = file.readAll(secondShapes(N));
  return { confidence, classes };
}

/**
 * Writes `judged.safetensors` of a run: f32 tensors named as the fields of {@linkcode JudgedSamples}, and those of a
 * second judge with `second_` before their names.
 */
export async function writeJudged(run: string, samples: JudgedSamples): Promise<void> {
  const { shape, labels, second } = samples;
  const [N] = shape;
  const tensors = tensorsOf(shapesOf(shape), samples);
  if (second) {
    const { confidence: second_confidence, classes: second_classes } = second;
    const more = tensorsOf(secondShapes(N), { second_confidence, second_classes });
    for (const [name, tensor] of more) tensors.set(name, tensor);
  }
  if (labels) tensors.set("labels", { shape: [N], data: Float32Array.from(labels) });
  await writeAtomic(join(run, runFile.judged), encodeSafetensors(tensors));
}

/** Reads the judged samples of a run; undefined if it has none. */
export async function readJudged(run: string): Promise<JudgedSamples | undefined> {
  const path = join(run, runFile.judged);
  const bytes = await readIfThere(path, run);
  if (bytes === undefined) return undefined;
  const file = new TensorFile(bytes, path, advice);
  const shape = file.shapeOf("nearest") as JudgedSamples["shape"];
  if (shape.length !== 5) throw file.mismatch("nearest", "f32[N, K, C, H, W]");
  return {
    shape,
    ...file.readAll(shapesOf(shape)),
    ...file.has("second_confidence") && { second: readSecond(file, shape[0]) },
    ...file.has("labels") && { labels: file.labels("labels", shape[0]) },
  };
}

/**
 * Writes the files that the report's page needs to judge fresh samples: `judge.safetensors`, a copy of the judge's
 * file, and `reference.safetensors` with `features`, f32[N, F], of test images.
 */
export async function writeLiveJudge(run: string, { weights, reference }: LiveJudge): Promise<void> {
  const { values: data, rows, width } = reference;
  await writeAtomic(join(run, runFile.judge), weights);
  const features = { shape: [rows, width], data };
  await writeAtomic(join(run, runFile.reference), encodeSafetensors(new Map([["features", features]])));
}

/**
 * Reads the files that the report's page needs to judge fresh samples.
 *
 * @returns undefined if one of the files is missing, as in runs that were not evaluated
 */
export async function readLiveJudge(run: string): Promise<LiveJudge | undefined> {
  const path = join(run, runFile.reference), judge = join(run, runFile.judge);
  const weights = await readIfThere(judge, run);
  const bytes = await readIfThere(path, run);
  if (!weights || !bytes) return undefined;
  decodeJudge(weights, judge);
  const file = new TensorFile(bytes, path, advice);
  const shape = file.shapeOf("features");
  if (shape.length !== 2) throw file.mismatch("features", "f32[N, F]");
  const [rows, width] = shape;
  return { weights, reference: { values: file.read("features", rows, width), rows, width } };
}
