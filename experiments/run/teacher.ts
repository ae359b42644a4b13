import {
  type Checkpoint,
  type CompleteOptions,
  decodeCheckpoint,
  guided,
  noneOf,
  type VelocityField,
} from "../../models/mod.ts";
import { reasonOf, RunError } from "./atomic_write.ts";
import { findWeights, noWeights } from "./layout.ts";

/** The network that a distillation starts from. */
export interface Teacher extends Checkpoint {
  /** Its file, to keep a copy in the run's folder. */
  readonly bytes: Uint8Array;
  readonly path: string;
}

/** The file of a teacher's weights: the file itself, or the averaged weights of a run. */
export function teacherFile(teacher: string): string {
  try {
    if (Deno.statSync(teacher).isFile) return teacher;
  } catch (error) {
    throw new RunError(`Cannot distil ${teacher}: ${reasonOf(error)}`);
  }
  const found = findWeights(teacher);
  if (found) return found.path;
  throw new RunError(`Cannot distil ${teacher}: ${noWeights}`);
}

/** What a teacher's file says about its network. @throws {RunError} if it cannot be distilled */
export function teacherInfo(
  teacher: string,
): Checkpoint["info"] & { readonly config: CompleteOptions; readonly path: string } {
  const path = teacherFile(teacher);
  let bytes: Uint8Array;
  try {
    bytes = Deno.readFileSync(path);
  } catch (error) {
    throw new RunError(`Cannot distil ${path}: ${reasonOf(error)}`);
  }
  const { info } = decodeCheckpoint(bytes, path);
  const config = info.config as CompleteOptions; // `decodeCheckpoint` fills in the defaults
  if (config.prediction !== "velocity") {
    throw new RunError(
      `Cannot distil ${path}: its network predicts ${config.prediction} (expected the velocity)`,
    );
  }
  return { ...info, config, path };
}

/** The velocity to imitate: guided by class, if the teacher has classes. */
export function taughtField({ model, info }: Teacher, guidance: number): VelocityField {
  return (info.config.classes ?? 0) > 0 ? guided(model, { scale: guidance, none: noneOf(model) }) : model;
}
