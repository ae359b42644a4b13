import { join } from "node:path";
import { encodeSafetensors, type HostTensor } from "../../models/mod.ts";
import type { TestImages } from "../../viz/report/mod.ts";
import { TensorFile } from "../run/weights.ts";
import { readIfThere, writeAtomic } from "../run/run_folder.ts";
import { runFile } from "../run/files.ts";
import type { Dataset } from "./dataset.ts";
import { pixelsOf } from "./images.ts";

/** The first test images, rotating through the classes; without labels simply the first. */
export function examplesOf({ test, ...data }: Dataset, count: number): TestImages {
  const indices = inRotation(test.labels ?? new Uint8Array(test.count)).slice(0, count);
  const { channels: C, height: H, width: W } = data;
  return {
    shape: [indices.length, C, H, W],
    image: pixelsOf(test.images, indices, C * H * W),
    ...test.labels && { labels: indices.map((index) => test.labels![index]) },
  };
}

/** Indices of labels: the first of each class, then the second of each, and so on. */
function inRotation(labels: Uint8Array): number[] {
  const turns = Map.groupBy(labels.keys(), (index) => labels[index]).values()
    .flatMap((ofClass) => ofClass.map((index, turn) => ({ index, turn })));
  return [...turns].sort((a, b) => a.turn - b.turn || labels[a.index] - labels[b.index]).map(({ index }) =>
    index
  );
}

/** Writes `examples.safetensors` of a run: f32 tensors `image` and, with classes, `labels`. */
export async function writeExamples(run: string, { shape, image, labels }: TestImages): Promise<void> {
  const tensors: Record<string, HostTensor> = {
    image: { shape, data: image },
    ...labels && { labels: { shape: [labels.length], data: Float32Array.from(labels) } },
  };
  await writeAtomic(join(run, runFile.examples), encodeSafetensors(new Map(Object.entries(tensors))));
}

/**
 * Reads the test images that a run saved.
 *
 * @returns undefined if it saved none
 */
export async function readExamples(run: string): Promise<TestImages | undefined> {
  const path = join(run, runFile.examples);
  const bytes = await readIfThere(path, run);
  if (bytes === undefined) return undefined;
  const file = new TensorFile(bytes, path, "delete the file to write the report without test images");
  const [N, C, H, W, ...more] = file.shapeOf("image");
  if (!(N * C * H * W > 0) || more.length > 0) throw file.mismatch("image", "f32[N, C, H, W]");
  const image = file.read("image", N, C, H, W);
  if (!image.every((pixel) => pixel >= 0 && pixel <= 1)) {
    throw file.error("image holds values outside [0, 1]");
  }
  return {
    shape: [N, C, H, W],
    image: Float32Array.from(image),
    ...file.has("labels") && { labels: Array.from(file.labels("labels", N)) },
  };
}
