/** Throws a {@linkcode RangeError} unless `value` is an integer of at least `least`. */
export function checkInteger(task: string, name: string, value: number, least: number): void {
  if (Number.isInteger(value) && value >= least) return;
  throw new RangeError(`Cannot ${task}: ${name} is ${value} (expected an integer of at least ${least})`);
}
