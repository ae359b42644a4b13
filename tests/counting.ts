/** Lists of numbers to compare orders with. */

/** Numbers in ascending order. */
export const sorted = (values: Iterable<number>) => [...values].sort((a, b) => a - b);

/** The numbers from 0 up to `n`, without it. */
export const upTo = (n: number) => Array.from({ length: n }, (_, i) => i);
