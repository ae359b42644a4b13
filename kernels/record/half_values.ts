import type { Kernel } from "../devices/device.ts";
import { assign } from "../ops/layout/fill.ts";
import { sumChunks } from "../ops/reduce/reduce.ts";
import type { RecordedCall, Recording } from "./trace.ts";
import type { Storage } from "../core/storage.ts";

/** Values with fewer elements are not worth converting. */
const fewest = 1024;

/** Kernels that only sum or copy what they read: terms of a norm, of a loss or of a weight's gradient. */
const sums: ReadonlySet<Kernel> = new Set([sumChunks.kernel, assign.kernel]);

/** The main output of a call; further outputs are statistics, such as the means of a normalisation. */
function resultOf({ kernel, tensors }: RecordedCall): Storage | undefined {
  const at = kernel.ports.findIndex(({ writable, type }) => writable && type === "f32");
  return tensors[at]?.storage;
}

/**
 * The values of a record to keep in f16 where memory matters more than precision: the large results of ops inside the
 * record, that is activations and their gradients. Statistics and values that are only summed stay in f32.
 */
export function halfValues(recording: Recording, kept: ReadonlySet<Storage>): ReadonlySet<Storage> {
  const results = new Set<Storage>();
  const seen = new Set<Storage>();
  const used = new Set<Storage>();
  for (const call of recording.calls) {
    const result = resultOf(call);
    for (const { storage, offset } of call.tensors) {
      if (storage === result && !seen.has(storage)) results.add(storage);
      else if (seen.has(storage) && !sums.has(call.kernel)) used.add(storage);
      if (offset !== 0) results.delete(storage);
      seen.add(storage);
    }
  }
  return new Set(
    [...results].filter((value) =>
      used.has(value) && recording.owns(value) && !kept.has(value) && value.elements >= fewest
    ),
  );
}
