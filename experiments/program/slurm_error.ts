import { UserError } from "../../kernels/core/user_error.ts";
/** Slurm is not here, or does not do what it is asked. */
export class SlurmError extends UserError {
  override readonly name = "SlurmError";
}
