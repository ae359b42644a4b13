/** Lines of WGSL for i from 0 to n - 1. */
export function repeatLines(n: number, line: (i: number) => string): string {
  return Array.from({ length: n }, (_, i) => line(i)).join("\n");
}
