import { join } from "node:path";
import { randomNormal, tensor } from "../../kernels/mod.ts";
import type { Model } from "../../models/mod.ts";
import { ConfigError } from "../cli/settings.ts";
import type { Dataset } from "../data/dataset.ts";
import { checkFit, readCheckpoint } from "../draw/load_network.ts";
import { chosenNetwork, loadWeights } from "../networks/own_network.ts";
import { runFile } from "../run/files.ts";
import { readFile } from "../run/run_folder.ts";
import type { RunConfig } from "../settings/run_config.ts";
import { type Teacher, weightsPath } from "../run/weights.ts";

/** The network to distil, if there is one: the copy in the run's folder, once it has one. */
export async function teacherOf(config: RunConfig, data: Dataset): Promise<Teacher | undefined> {
  const { distillation, start } = config;
  if (!distillation) return undefined;
  let path: string;
  let bytes: Uint8Array<ArrayBuffer>;
  if (start.kind === "resume") {
    path = join(start.run, runFile.teacher);
    bytes = await readFile(path, start.run);
  } else {
    path = weightsPath(distillation.teacher, "distil");
    bytes = await readCheckpoint(path);
  }
  const make = chosenNetwork(config.model)?.make;
  const teacher = { ...await loadWeights(bytes, path, { make }), bytes, path };
  checkFit("distil", path, { shape: teacher.shape, classes: teacher.info.config.classes ?? 0 }, data);
  return teacher;
}

/** Refuses a network that has a different velocity than the teacher whose weights it took over. */
export async function checkStart(teacher: Teacher, network: Model, file: string): Promise<void> {
  const { model, info: { config: { classes = 0 } }, shape, path } = teacher;
  const x = randomNormal(tensor(new Uint32Array(3)), [2, ...shape]);
  const t = tensor([0.25, 0.75]);
  const labels = classes > 0 ? tensor(Uint32Array.of(0, classes)) : undefined;
  const [before, now] = await Promise.all(
    [model, network].map((field) => field.velocity(x, t, labels).read()),
  );
  const most = before.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  if (now.every((v, i) => Math.abs(v - before[i]) <= 1e-5 * most)) return;
  throw new ConfigError(
    `Cannot distil ${path} with ${file}: with its weights, ${file} has a different velocity at d = 0 (expected the same, as ` +
      "from layers that start at zero, such as StepEmbedding)",
  );
}
