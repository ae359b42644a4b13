/** Lists of numbers for comparisons. */

/** Numbers in ascending order. */
export const sorted = (values: Iterable<number>) => [...values].sort((a, b) => a - b);

/** The numbers from 0 to n - 1. */
export const upTo = (n: number) => Array.from({ length: n }, (_, i) => i);
