/**
 * Lines of WGSL for i from 0 to n - 1: a tile in registers is written out. Chromium's software adapter compiled loops
 * over one, with vectors that a variable indexes, for minutes.
 */
export function repeatLines(n: number, line: (i: number) => string): string {
  return Array.from({ length: n }, (_, i) => line(i)).join("\n");
}
