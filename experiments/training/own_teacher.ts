import { randomNormal, tensor } from "../../kernels/mod.ts";
import {
  blankInitialiser,
  createModel,
  loadState,
  type Model,
  saveCheckpoint,
  stateOf,
} from "../../models/mod.ts";
import { chosenNetwork } from "../networks/own_network.ts";
import type { Teacher } from "../run/teacher.ts";
import { ConfigError } from "../settings/setting.ts";
import { modelOptions, type NetworkSettings } from "./network.ts";

/**
 * A teacher as a network of the program that is to be distilled: one that has gained `meanVelocity` since its training,
 * for example. Any other teacher stays as it is.
 *
 * @throws {StateError} if the program has other parameters
 * @throws {ConfigError} if it computes something else from them
 */
export async function inOwnProgram(teacher: Teacher, config: NetworkSettings): Promise<Teacher> {
  const { model, info, shape, path } = teacher;
  const own = chosenNetwork(config.model);
  if (!own || info.config.type !== "own" || info.config.digest === own.digest) return teacher;
  const options = modelOptions({ ...config, teacher: null }, shape, info.config.classes);
  const changed = createModel(options, blankInitialiser);
  loadState(changed, await stateOf(model), path);
  await checkStart(teacher, changed, own.file);
  const { normalization, imageSize } = info;
  const bytes = await saveCheckpoint(changed, { normalization, imageSize });
  return { ...teacher, model: changed, info: { ...info, config: options }, bytes };
}

/** @throws {ConfigError} if a network has another velocity than the teacher whose weights it has taken */
export async function checkStart(
  { model, info: { config: { classes = 0 } }, shape, path }: Teacher,
  network: Model,
  file: string,
): Promise<void> {
  const x = randomNormal(tensor(new Uint32Array(3)), [2, ...shape]);
  const t = tensor([0.25, 0.75]);
  const labels = classes > 0 ? tensor(Uint32Array.of(0, classes)) : undefined;
  const [before, now] = await Promise.all(
    [model, network].map((field) => field.velocity(x, t, labels).read()),
  );
  const most = before.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  if (now.every((v, i) => Math.abs(v - before[i]) <= 1e-5 * most)) return;
  throw new ConfigError(
    `Cannot distil ${path} with ${file}: with its weights, ${file} has another velocity at d = 0 (expected the same, as ` +
      "from layers that start at zero, such as StepEmbedding)",
  );
}
