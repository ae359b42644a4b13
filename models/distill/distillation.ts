import type { Tensor } from "../../kernels/mod.ts";
import type { VelocityField } from "../flow/field.ts";
import type { Module } from "../nn/module.ts";
import type { BatchSource } from "../train/batches.ts";

/** What the stages of a distillation share. */
export interface Distillation {
  /** The flow map in training; it starts with the teacher's weights. */
  readonly student: Module & VelocityField;
  /** The flow to imitate, with its guidance; unguided if the student takes guidance as an input. */
  readonly teacher: VelocityField;
  /** Training images, with labels as the condition if the student has classes. */
  readonly source: BatchSource;
  /** Examples per step. */
  readonly batchSize: number;
}

/** The tensor itself, detached: no gradient flows through it. */
export function detached(x: Tensor): Tensor {
  x.detach();
  return x;
}
