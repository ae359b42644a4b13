import { assign } from "../ops/layout/fill.ts";
import type { RecordedCall, Recording } from "./trace.ts";
import { overlap } from "../core/overlap.ts";
import type { Storage } from "../core/storage.ts";

/**
 * Lets an op write directly to where its result would be copied: `assign(target, f(x))` becomes f writing to target.
 *
 * So collecting gradients in one flat buffer costs no copies. It is done where nothing else reads the value and nothing
 * in between touches the target's range.
 */
export function forwardResults(recording: Recording, kept: ReadonlySet<Storage>): void {
  const { calls } = recording;
  const uses = usesOf(calls);
  const moved = new Map<Storage, RecordedCall["tensors"][number]>();
  const dropped = new Set<number>();
  calls.forEach(({ kernel, tensors: [target, source] }, at) => {
    if (kernel !== assign.kernel || !recording.owns(source.storage) || kept.has(source.storage)) return;
    const [made, copied, ...others] = uses.get(source.storage)!;
    if (copied !== at || others.length > 0 || recording.owns(target.storage)) return;
    if (source.offset !== 0 || source.size !== source.storage.elements) return;
    const touches = (call: RecordedCall) =>
      call.tensors.some((tensor) => tensor.storage === target.storage && overlap(tensor, target));
    const shares = calls[made].tensors.some(({ storage }) => storage === target.storage);
    if (shares || calls.slice(made, at).some(touches)) return;
    moved.set(source.storage, target);
    dropped.add(at);
  });
  recording.calls = calls.filter((_, at) => !dropped.has(at)).map((call) => ({
    ...call,
    tensors: call.tensors.map((tensor) => moved.get(tensor.storage) ?? tensor),
  }));
}

/** For each storage, the calls that use it, in order and without repeats. */
function usesOf(calls: readonly RecordedCall[]): Map<Storage, number[]> {
  const uses = new Map<Storage, number[]>();
  calls.forEach(({ tensors }, at) => {
    for (const storage of new Set(tensors.map(({ storage }) => storage))) {
      const list = uses.get(storage);
      if (list) list.push(at);
      else uses.set(storage, [at]);
    }
  });
  return uses;
}
