import { digestOf } from "../../core/digest.ts";
import type { DeviceBuffer, KernelCall } from "../device.ts";
import { type Choices, nameOfCall } from "./choices.ts";
import { shaderOf } from "./pipelines.ts";
import { callOfPass } from "./workspace.ts";

/** A call with several candidates. */
export interface Subject {
  readonly call: KernelCall;
  readonly candidates: readonly string[];
  /** How often a step makes it, or would by another candidate. */
  calls: number;
  /** The calls with several candidates that its own candidates are made of, which are to be chosen before. */
  readonly parts: readonly Subject[];
}

/** Where the scratch memory of passes would be: of their ranges only the lengths count here. */
const nowhere: DeviceBuffer = { bytes: 0 };

/** The different calls with a choice, in the order of the step, each after its parts. */
export function subjectsOf(calls: readonly KernelCall[], choices: Choices): Subject[] {
  const subjects = new Map<string, Subject>();
  const add = (call: KernelCall): Subject[] => {
    const candidates = call.kernel.candidates?.(call.dims, choices.table) ?? [];
    if (candidates.length < 2) return [];
    const parts = partsOf(call, candidates, choices).flatMap(add);
    const name = nameOfCall(call);
    const subject = subjects.get(name) ?? { call, candidates, calls: 0, parts };
    subject.calls++;
    subjects.set(name, subject);
    return [subject];
  };
  calls.forEach(add);
  return [...subjects.values()];
}

/** The passes of a call's candidates, as calls. */
function partsOf(call: KernelCall, candidates: readonly string[], choices: Choices): KernelCall[] {
  return candidates.flatMap((candidate) =>
    call.kernel.passes?.(call.dims, choices.of({ ...call, candidate })) ?? []
  ).map((pass) => callOfPass(pass, call, () => nowhere));
}

/** Sizes in bytes of the scratch memory that a call's candidates may need. */
export function scratchBytes({ call, candidates }: Subject, choices: Choices): number[] {
  return candidates.flatMap((candidate) =>
    call.kernel.passes?.(call.dims, choices.of({ ...call, candidate }))?.flatMap(({ buffers }) =>
      buffers.flatMap((buffer) => typeof buffer === "string" ? [] : [Math.max(4 * buffer.elements, 4)])
    ) ?? []
  );
}

/** Digests of a call's candidates: of their names and shaders. Many calls have the same shaders. */
export function digestsOf(choices: Choices): (subject: Subject) => string {
  const known = new Map<string, string>();
  const digestOfShader = (call: KernelCall) => {
    const { kernel, dims, half = [], candidate } = call;
    const tuning = candidate === undefined ? choices.table : choices.of(call); // whatever was chosen for a part
    const key = JSON.stringify([kernel.name, Object.keys(dims), half, kernel.specialise(dims, tuning)]);
    const digest = known.get(key) ?? digestOf([shaderOf(call, tuning)]);
    known.set(key, digest);
    return digest;
  };
  return ({ call, candidates }) =>
    digestOf(candidates.flatMap((candidate) => {
      const way = { ...call, candidate };
      const parts = partsOf(call, [candidate], choices);
      return [candidate, ...(parts.length > 0 ? parts : [way]).map(digestOfShader)];
    }));
}
