import { join } from "node:path";
import { decodeSafetensors, encodeSafetensors, type SafetensorsTensor } from "../../models/mod.ts";
import type { Paths } from "../../viz/report/mod.ts";
import { RunError, writeAtomic } from "../run/atomic_write.ts";
import { makeContainedFolder } from "../run/contained.ts";
import { runFile, runFolder } from "../run/layout.ts";
import { readIfThere } from "../run/read_file.ts";

/**
 * Writes paths as `flow/paths.safetensors` of a run: f32 tensors named as the fields of {@linkcode Paths}, and as
 * metadata the share of variance, how many images the classifier got right, what the classes are called, and the guidance
 * of samples that were asked for the classes `asked`. Data without labels has no `classes`,
 * `real_classes` and classifier.
 *
 * @throws {RunError} if the file cannot be written
 */
export async function writeFlowPaths(run: string, paths: Paths): Promise<void> {
  const { t, position, velocity, speed, straightness, image, classes, asked, real, shape: [M, N, ...size] } =
    paths;
  const labels = (classes: ArrayLike<number>) => ({
    shape: [classes.length],
    data: Float32Array.from(classes),
  });
  const tensors: Record<string, SafetensorsTensor> = {
    t: { shape: [M], data: t },
    position: { shape: [M, N, 2], data: position },
    velocity: { shape: [M - 1, N, 2], data: velocity },
    speed: { shape: [M - 1, N], data: speed },
    straightness: { shape: [M - 1, N], data: straightness },
    image: { shape: [N, ...size], data: image },
    ...classes && { classes: labels(classes) },
    ...asked && { asked: labels(asked.labels) },
    real_position: { shape: [real.position.length / 2, 2], data: real.position },
    ...real.classes && { real_classes: labels(real.classes) },
  };
  const bytes = encodeSafetensors(new Map(Object.entries(tensors)), {
    share: JSON.stringify(paths.share),
    ...asked && { guidance: JSON.stringify(asked.guidance) },
    ...paths.classifier && { classifier: JSON.stringify(paths.classifier) },
    ...paths.classNames && { class_names: JSON.stringify(paths.classNames) },
  });
  await makeContainedFolder(run, runFolder.flow);
  await writeAtomic(join(run, runFile.paths), bytes);
}

/** What to do about paths that cannot be used. */
const wayOn = "delete the file, and the run is shown without its paths";

/**
 * Reads the paths of a run.
 *
 * @returns the paths, or undefined where the run has none
 * @throws {RunError} if the file cannot be read or holds no paths
 * @throws {SafetensorsError} if the file is damaged
 */
export async function readFlowPaths(run: string): Promise<Paths | undefined> {
  const path = join(run, runFile.paths);
  const bytes = await readIfThere(path, run);
  if (bytes === undefined) return undefined;
  const { tensors, metadata } = decodeSafetensors(bytes, path);
  const [M] = tensors.get("t")?.shape ?? [];
  const [N, ...size] = tensors.get("image")?.shape ?? [];
  const [D] = tensors.get("real_position")?.shape ?? [];
  const bad = [...tensors].find(([, { data }]) => !data.every(Number.isFinite));
  if (bad) throw new RunError(`Cannot read ${path}: ${bad[0]} holds NaN or infinities; ${wayOn}`);
  const read = (name: string, ...shape: number[]) => {
    const tensor = tensors.get(name);
    if (tensor && `${tensor.shape}` === `${shape}`) return tensor.data;
    throw new RunError(
      `Cannot read ${path}: ${name} is ${
        tensor ? `f32[${tensor.shape}]` : "missing"
      } (expected f32[${shape}]); ${wayOn}`,
    );
  };
  const labels = (name: string, length: number) => {
    const values = read(name, length);
    if (values.every((label) => Number.isInteger(label) && label >= 0 && label <= 255)) {
      return Uint32Array.from(values);
    }
    throw new RunError(
      `Cannot read ${path}: ${name} holds no labels (expected whole numbers from 0 to 255); ${wayOn}`,
    );
  };
  if (size.length !== 2 && size.length !== 3) {
    throw new RunError(
      `Cannot read ${path}: image is f32[${[
        N,
        ...size,
      ]}] (expected f32[N, H, W] or f32[N, C, H, W]); ${wayOn}`,
    );
  }
  return {
    t: read("t", M),
    position: read("position", M, N, 2),
    velocity: read("velocity", M - 1, N, 2),
    speed: read("speed", M - 1, N),
    straightness: read("straightness", M - 1, N),
    image: read("image", N, ...size),
    ...tensors.has("classes") && { classes: labels("classes", N) },
    ...tensors.has("asked") && {
      asked: {
        labels: labels("asked", N),
        guidance: field<number>(metadata.guidance, path, Number.isFinite),
      },
    },
    real: {
      position: read("real_position", D, 2),
      ...tensors.has("real_classes") && { classes: labels("real_classes", D) },
    },
    share: field(
      metadata.share,
      path,
      (value) => Array.isArray(value) && value.length === 2 && value.every(Number.isFinite),
    ),
    ...tensors.has("classes") && {
      classifier: field<Paths["classifier"] & object>(
        metadata.classifier,
        path,
        (value) => [Object(value).tried, Object(value).right].every(Number.isInteger),
      ),
    },
    ...metadata.class_names !== undefined && {
      classNames: field<readonly string[]>(
        metadata.class_names,
        path,
        (value) => Array.isArray(value) && value.every((name) => typeof name === "string"),
      ),
    },
    shape: [M, N, ...size] as readonly number[] as Paths["shape"],
  };
}

function field<T>(text: string | undefined, path: string, fits: (value: unknown) => boolean): T {
  try {
    const value = JSON.parse(text ?? "");
    if (fits(value)) return value;
  } catch { /* not JSON */ }
  throw new RunError(
    `Cannot read ${path}: its metadata lack the share of variance, the guidance, the classifier's score or the names ` +
      `of the classes; ${wayOn}`,
  );
}
