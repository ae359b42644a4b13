/** Before the first of more, a training of a million steps has hardly begun. */
export const mostMilestones = 20;

/**
 * The steps after which the quality of a network is measured before the end of its training: a half, a quarter, an eighth
 * of them and so on.
 *
 * @param steps of the training
 * @param count how many; fewer where the training is too short
 * @returns the earliest first
 */
export function milestonesOf(steps: number, count = 0): number[] {
  const shares = Array.from({ length: count }, (_, k) => Math.ceil(steps / 2 ** (k + 1)));
  return [...new Set(shares)].filter((step) => step < steps).reverse();
}
