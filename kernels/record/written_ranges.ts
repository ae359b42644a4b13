import type { Storage } from "../core/storage.ts";
import type { RecordedCall } from "./trace.ts";

/** A range of memory that a record writes to. */
export interface WrittenRange {
  readonly storage: Storage;
  readonly offset: number;
  readonly length: number;
}

/** Ranges that calls write to, neighbours joined, in memory that others can see. */
export function writtenRanges(
  calls: readonly RecordedCall[],
  visible: (storage: Storage) => boolean,
): readonly WrittenRange[] {
  const spans = new Map<Storage, [number, number][]>();
  for (const { kernel, tensors } of calls) {
    tensors.forEach(({ storage, offset, size }, i) => {
      if (!kernel.ports[i].writable || !visible(storage)) return;
      const list = spans.get(storage);
      if (list) list.push([offset, offset + size]);
      else spans.set(storage, [[offset, offset + size]]);
    });
  }
  return [...spans].flatMap(([storage, list]) =>
    joined(list).map(([start, end]) => ({ storage, offset: start, length: end - start }))
  );
}

/** Intervals in order, those that overlap or touch joined. */
function joined(intervals: readonly [number, number][]): [number, number][] {
  const result: [number, number][] = [];
  for (const [start, end] of intervals.toSorted(([a], [b]) => a - b)) {
    const last = result.at(-1);
    if (last && start <= last[1]) last[1] = Math.max(last[1], end);
    else result.push([start, end]);
  }
  return result;
}
