/** Some elements of a memory. */
interface Range {
  readonly offset: number;
  readonly size: number;
}

/** Whether two ranges of one memory have an element in common. */
export function overlap(a: Range, b: Range): boolean {
  return a.offset < b.offset + b.size && b.offset < a.offset + a.size;
}
