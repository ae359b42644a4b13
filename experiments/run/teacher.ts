import { type Checkpoint, guided, noneOf, type VelocityField } from "../../models/mod.ts";
import { RunError } from "./atomic_write.ts";
import { type GivenWeights, readGivenWeights, weightsPath } from "./weights.ts";

/** The network that a distillation starts from. */
export interface Teacher extends Checkpoint {
  /** Its file, to keep a copy in the run's folder. */
  readonly bytes: Uint8Array;
  readonly path: string;
}

/** The file of a teacher's weights: the file itself, or the averaged weights of a run. */
export function teacherFile(teacher: string): string {
  return weightsPath(teacher, "distil");
}

/** Describes the network in a teacher's file. @throws {RunError} if it cannot be distilled */
export function teacherInfo(teacher: string): GivenWeights["info"] & { readonly path: string } {
  const { path, info } = readGivenWeights(teacher, "distil");
  const { prediction } = info.config;
  if (prediction !== "velocity") {
    throw new RunError(`Cannot distil ${path}: its network predicts ${prediction} (expected the velocity)`);
  }
  return { ...info, path };
}

/** The velocity to imitate: guided by class, if the teacher has classes. */
export function taughtField({ model, info }: Teacher, guidance: number): VelocityField {
  return (info.config.classes ?? 0) > 0 ? guided(model, { scale: guidance, none: noneOf(model) }) : model;
}
