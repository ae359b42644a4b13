/** Slurm is not here, or does not do what it is asked. */
export class SlurmError extends Error {
  override readonly name = "SlurmError";
}
