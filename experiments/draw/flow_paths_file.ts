import { join } from "node:path";
import { decodeSafetensors, encodeSafetensors } from "../../models/mod.ts";
import type { Paths } from "../../viz/report/mod.ts";
import { reasonOf, RunError, writeAtomic } from "../run/atomic_write.ts";
import { readIfThere } from "../run/read_file.ts";
import { runFile, runFolder } from "../run/layout.ts";

/**
 * Writes paths as `flow/paths.safetensors` of a run: f32 tensors named as the fields of {@linkcode Paths}, and as
 * metadata the share of variance and what the classifier got right.
 *
 * @throws {RunError} if the file cannot be written
 */
export async function writeFlowPaths(run: string, paths: Paths): Promise<void> {
  const { t, position, velocity, speed, straightness, image, classes, real, shape: [M, N, H, W] } = paths;
  const floats = (bytes: Uint8Array) => Float32Array.from(bytes);
  const bytes = encodeSafetensors(
    new Map(Object.entries({
      t: { shape: [M], data: t },
      position: { shape: [M, N, 2], data: position },
      velocity: { shape: [M - 1, N, 2], data: velocity },
      speed: { shape: [M - 1, N], data: speed },
      straightness: { shape: [M - 1, N], data: straightness },
      image: { shape: [N, H, W], data: image },
      classes: { shape: [N], data: floats(classes) },
      real_position: { shape: [real.classes.length, 2], data: real.position },
      real_classes: { shape: [real.classes.length], data: floats(real.classes) },
    })),
    { share: JSON.stringify(paths.share), classifier: JSON.stringify(paths.classifier) },
  );
  try {
    await Deno.mkdir(join(run, runFolder.flow), { recursive: true });
  } catch (error) {
    throw new RunError(`Cannot make ${join(run, runFolder.flow)}: ${reasonOf(error)}`);
  }
  await writeAtomic(join(run, runFile.paths), bytes);
}

/**
 * Reads the paths of a run.
 *
 * @returns the paths, or undefined where the run has none
 * @throws {RunError} if the file cannot be read or holds no paths
 * @throws {SafetensorsError} if the file is damaged
 */
export async function readFlowPaths(run: string): Promise<Paths | undefined> {
  const path = join(run, runFile.paths);
  const bytes = await readIfThere(path);
  if (bytes === undefined) return undefined;
  const { tensors, metadata } = decodeSafetensors(bytes, path);
  const [M] = tensors.get("t")?.shape ?? [];
  const [N, H, W] = tensors.get("image")?.shape ?? [];
  const [D] = tensors.get("real_classes")?.shape ?? [];
  const read = (name: string, ...shape: number[]) => {
    const tensor = tensors.get(name);
    if (tensor && `${tensor.shape}` === `${shape}`) return tensor.data;
    throw new RunError(
      `Cannot read ${path}: ${name} is ${
        tensor ? `f32[${tensor.shape}]` : "missing"
      } (expected f32[${shape}])`,
    );
  };
  return {
    t: read("t", M),
    position: read("position", M, N, 2),
    velocity: read("velocity", M - 1, N, 2),
    speed: read("speed", M - 1, N),
    straightness: read("straightness", M - 1, N),
    image: read("image", N, H, W),
    classes: Uint8Array.from(read("classes", N)),
    real: { position: read("real_position", D, 2), classes: Uint8Array.from(read("real_classes", D)) },
    share: field(metadata.share, path, (value) => Array.isArray(value) && value.length === 2),
    classifier: field(metadata.classifier, path, (value) => Number.isInteger(Object(value).tried)),
    shape: [M, N, H, W],
  };
}

function field<T>(text: string | undefined, path: string, fits: (value: unknown) => boolean): T {
  try {
    const value = JSON.parse(text ?? "");
    if (fits(value)) return value;
  } catch { /* not JSON */ }
  throw new RunError(`Cannot read ${path}: its metadata hold no share of variance or no classifier`);
}
