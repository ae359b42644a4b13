/**
 * The probability that Student's t of so many degrees of freedom lies further from 0 than a value.
 *
 * @param t the value; its sign does not matter
 * @param freedom degrees of freedom, an integer of at least 1
 *
 * Source: Abramowitz and Stegun 1964, 26.7.3 and 26.7.4
 */
export function studentTails(t: number, freedom: number): number {
  const angle = Math.atan(Math.abs(t) / Math.sqrt(freedom));
  const [sine, square] = [Math.sin(angle), Math.cos(angle) ** 2];
  // The series of cosines: 1 + 1/2 c^2 + 3/8 c^4 + ... for even degrees, c + 2/3 c^3 + ... for odd ones.
  const odd = freedom % 2 === 1;
  let [term, sum] = [odd ? Math.cos(angle) : 1, 0];
  for (let k = odd ? 1 : 0; k < freedom - 1; k += 2) {
    sum += term;
    term *= square * (k + 1) / (k + 2);
  }
  return 1 - (odd ? (angle + sine * sum) * 2 / Math.PI : sine * sum);
}

/**
 * The value that Student's t stays within with a probability.
 *
 * @param share the probability, below 1
 * @param freedom degrees of freedom, an integer of at least 1
 */
export function studentQuantile(share: number, freedom: number): number {
  let [low, high] = [0, 1];
  while (studentTails(high, freedom) > 1 - share) high *= 2;
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (studentTails(middle, freedom) > 1 - share) low = middle;
    else high = middle;
  }
  return high;
}
