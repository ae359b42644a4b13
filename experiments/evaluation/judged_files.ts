import { join } from "node:path";
import { decodeJudge, encodeSafetensors } from "../../models/mod.ts";
import type { JudgedSamples, LiveJudge } from "../../viz/report/mod.ts";
import { TensorFile } from "../draw/tensor_file.ts";
import { writeAtomic } from "../run/atomic_write.ts";
import { runFile } from "../run/layout.ts";
import { readIfThere } from "../run/contained.ts";

const advice = "delete the file, or evaluate the run again";

/**
 * Writes `judged.safetensors` of a run: f32 tensors named as the fields of {@linkcode JudgedSamples}.
 *
 * @throws {RunError} if the file cannot be written
 */
export async function writeJudged(run: string, samples: JudgedSamples): Promise<void> {
  const { shape: [N, K, ...size], image, nearest, confidence, classes, rank } = samples;
  const tensors = {
    image: { shape: [N, ...size], data: image },
    nearest: { shape: [N, K, ...size], data: nearest },
    confidence: { shape: [N], data: confidence },
    classes: { shape: [N], data: Float32Array.from(classes) },
    rank: { shape: [N], data: rank },
  };
  await writeAtomic(join(run, runFile.judged), encodeSafetensors(new Map(Object.entries(tensors))));
}

/**
 * Reads the judged samples of a run.
 *
 * @returns undefined if the run has none
 * @throws {RunError} if the file cannot be read or holds no judged samples
 * @throws {SafetensorsError} if the file is damaged
 */
export async function readJudged(run: string): Promise<JudgedSamples | undefined> {
  const path = join(run, runFile.judged);
  const bytes = await readIfThere(path, run);
  if (bytes === undefined) return undefined;
  const file = new TensorFile(bytes, path, advice);
  const shape = file.shapeOf("nearest");
  if (shape.length !== 5) throw file.mismatch("nearest", "f32[N, K, C, H, W]");
  const [N, K, C, H, W] = shape;
  return {
    shape: [N, K, C, H, W],
    image: file.read("image", N, C, H, W),
    nearest: file.read("nearest", N, K, C, H, W),
    confidence: file.read("confidence", N),
    classes: file.read("classes", N),
    rank: file.read("rank", N),
  };
}

/**
 * Writes what the report's page judges fresh samples by: `judge.safetensors`, a copy of the judge's file, and
 * `reference.safetensors` with `features`, f32[N, F], of test images.
 *
 * @throws {RunError} if a file cannot be written
 */
export async function writeLiveJudge(run: string, { weights, reference }: LiveJudge): Promise<void> {
  const { values: data, rows, width } = reference;
  await writeAtomic(join(run, runFile.judge), weights);
  const features = { shape: [rows, width], data };
  await writeAtomic(join(run, runFile.reference), encodeSafetensors(new Map([["features", features]])));
}

/**
 * Reads what the report's page judges fresh samples by.
 *
 * @returns undefined if one of the files is missing, as in runs that were not evaluated
 * @throws {RunError} if a file cannot be read, or holds no features
 * @throws {SafetensorsError} if a file is damaged
 * @throws as `decodeJudge`
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
