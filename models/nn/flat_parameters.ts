import {
  assign,
  currentDevice,
  type Shape,
  type Storage,
  Tensor,
  UserError,
  zeros,
} from "../../kernels/mod.ts";
import { describeValue, refuse } from "../../kernels/core/checks.ts";
import { owners } from "../../kernels/core/memory.ts";
import { sizeOf } from "../../kernels/core/shape.ts";

/** A network's parameters, or other values for them, by the names of `namedParameters`. */
export type NamedTensors = ReadonlyMap<string, Tensor>;

/** Parameters start at multiples of this many elements: WebGPU binds only at multiples of 256 bytes. */
const alignment = 64;

/** Memory laid out here: the gaps between parameters hold zeros, which updates may touch. */
const flatMemory = new WeakSet<Storage>();

/**
 * Zeros in the shapes of parameters, side by side in memory: for gradients, moments and averages.
 *
 * @param order names in memory order; by default the order of the parameters
 * @returns `views` in the shapes of the parameters, and the whole memory as `chunks`, f32[n] each: several if it is too
 * large for a kernel to bind
 */
export function flatZeros(
  parameters: ReadonlyMap<string, { readonly shape: Shape }>,
  order: Iterable<string> = parameters.keys(),
): { readonly views: NamedTensors; readonly chunks: readonly Tensor[] } {
  const most = Math.floor(currentDevice().maxRangeBytes / 4);
  const places = new Map<string, readonly [chunk: number, offset: number]>();
  const lengths = [0];
  for (const name of order) {
    const size = sizeOf(parameters.get(name)!.shape);
    if (lengths[lengths.length - 1] > 0 && endOf(lengths[lengths.length - 1], size) > most) lengths.push(0);
    const chunk = lengths.length - 1;
    places.set(name, [chunk, lengths[chunk]]);
    lengths[chunk] = endOf(lengths[chunk], size);
  }
  const chunks = lengths.map((length) => zeros([length]));
  for (const { storage } of chunks) flatMemory.add(storage);
  const views = Array.from(parameters, ([name, { shape }]) => {
    const [chunk, offset] = places.get(name)!;
    return [name, new Tensor(chunks[chunk].storage, shape, "f32", offset)] as const;
  });
  return { views: new Map(views), chunks };
}

/** The next aligned offset after a tensor. */
function endOf(offset: number, size: number): number {
  return Math.ceil((offset + size) / alignment) * alignment;
}

/**
 * Groups parameters that are adjacent in each of several memories, so that one kernel can process a group.
 *
 * @param names names of the parameters, in memory order
 * @param all tensors by name, for each memory
 * @param join whether two neighbours may share a group; by default true
 */
export function runsOf(
  names: Iterable<string>,
  all: readonly NamedTensors[],
  join: (a: string, b: string) => boolean = () => true,
): string[][] {
  const runs: string[][] = [];
  for (const name of names) {
    const before = runs.at(-1)?.at(-1);
    const joins = before !== undefined && join(before, name) &&
      all.every((values) => isFollowedBy(values.get(before)!, values.get(name)!));
    if (joins) runs.at(-1)!.push(name);
    else runs.push([name]);
  }
  return runs;
}

function isFollowedBy({ storage, offset, size }: Tensor, next: Tensor): boolean {
  return flatMemory.has(storage) && storage === next.storage && endOf(offset, size) === next.offset;
}

/** The memory of one group of `runsOf`, gaps included, f32[n]. */
export function rangeOf(values: NamedTensors, run: readonly string[]): Tensor {
  const first = values.get(run[0])!;
  const last = values.get(run[run.length - 1])!;
  return new Tensor(first.storage, [last.offset + last.size - first.offset], "f32", first.offset);
}

/**
 * Moves the parameters of a network side by side in memory, so that an optimizer needs few kernels to update them.
 * `createModel` already does this. For your own network, call it right after construction: it invalidates existing
 * views, steps and samplers.
 *
 * @param parameters by name, see `namedParameters`; they keep their values
 * @returns the same map
 */
export function flatten<P extends NamedTensors>(parameters: P): P {
  checkNamed("flatten parameters", parameters);
  if (owners.recording || runsOf(parameters.keys(), [parameters]).length < 2) return parameters;
  checkApart(parameters);
  const { views } = flatZeros(parameters);
  for (const [name, parameter] of parameters) {
    const view = views.get(name)!;
    const { storage } = parameter;
    assign(view, parameter);
    parameter.pointTo(view);
    if (storage.elements === parameter.size) {
      storage.free(
        "Cannot use the memory that parameters had before flatten(): call flatten() before making views, steps and samplers",
      );
    }
  }
  return parameters;
}

/** Refuses parameters that are not a map, but for example a module. */
export function checkNamed(task: string, parameters: NamedTensors): void {
  if (parameters instanceof Map) return;
  const shown = describeValue(parameters);
  refuse(UserError, `${task}: the parameters are ${shown}`, "those of namedParameters(model)");
}

/** Refuses parameters that overlap in memory: each would be updated by its own gradient only. */
export function checkApart(parameters: NamedTensors): void {
  for (const memory of new Set([...parameters.values()].map(({ storage }) => storage))) {
    const inOrder = [...parameters].filter(([, { storage }]) => storage === memory)
      .sort(([, a], [, b]) => a.offset - b.offset || a.size - b.size);
    inOrder.slice(1).forEach(([name, { offset }], i) => {
      const [before, { offset: from, size }] = inOrder[i];
      if (offset >= from + size) return;
      const hint = "if two layers share weights, use one tensor under one name";
      const why = "they share memory (expected separate memory for each parameter)";
      refuse(RangeError, `train "${before}" and "${name}": ${why}; ${hint}`);
    });
  }
}

/**
 * Runs a synchronous function with other values of the parameters, such as averages. Steps recorded inside keep using
 * these. Call `gradients` inside, too.
 */
export function withParameters<T>(parameters: NamedTensors, values: NamedTensors, run: () => T): T {
  const before = Array.from(parameters.values(), (parameter) => {
    return [parameter, new Tensor(parameter.storage, parameter.shape, "f32", parameter.offset)] as const;
  });
  pointTo("exchange", parameters, values);
  try {
    return run();
  } finally {
    for (const [parameter, own] of before) parameter.pointTo(own);
  }
}

/**
 * Makes parameters share the memory of other values, such as a trainer's averages: training one changes the other.
 * Steps recorded earlier keep the old memory.
 */
export function shareParameters(parameters: NamedTensors, values: NamedTensors): void {
  pointTo("share", parameters, values);
}

function pointTo(task: string, parameters: NamedTensors, values: NamedTensors): void {
  const lacking = [...parameters.keys()].find((name) => !values.has(name));
  if (lacking !== undefined) refuse(RangeError, `${task} parameters: there are no values for "${lacking}"`);
  for (const [name, parameter] of parameters) parameter.pointTo(values.get(name)!);
}
