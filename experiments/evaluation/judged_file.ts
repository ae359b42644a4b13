import { join } from "node:path";
import { decodeSafetensors, encodeSafetensors } from "../../models/mod.ts";
import type { JudgedSamples } from "../../viz/report/mod.ts";
import { RunError, writeAtomic } from "../run/atomic_write.ts";
import { runFile } from "../run/layout.ts";
import { readIfThere } from "../run/contained.ts";

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
  const { tensors } = decodeSafetensors(bytes, path);
  const fail = (what: string) =>
    new RunError(`Cannot read ${path}: ${what}; delete the file, or evaluate the run again`);
  const [N, K, C, H, W] = tensors.get("nearest")?.shape ?? [];
  if (W === undefined) throw fail("it holds no nearest f32[N, K, C, H, W]");
  const read = (name: string, ...shape: number[]) => {
    const tensor = tensors.get(name);
    if (!tensor || `${tensor.shape}` !== `${shape}`) throw fail(`it holds no ${name} f32[${shape}]`);
    if (!tensor.data.every(Number.isFinite)) throw fail(`${name} holds NaN or infinities`);
    return tensor.data;
  };
  return {
    shape: [N, K, C, H, W],
    image: read("image", N, C, H, W),
    nearest: read("nearest", N, K, C, H, W),
    confidence: read("confidence", N),
    classes: read("classes", N),
    rank: read("rank", N),
  };
}
