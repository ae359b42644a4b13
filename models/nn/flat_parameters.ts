import {
  assign,
  currentDevice,
  type Shape,
  type Storage,
  Tensor,
  UserError,
  zeros,
} from "../../kernels/mod.ts";
import { owners } from "../../kernels/core/memory.ts";
import { sizeOf } from "../../kernels/core/shape.ts";
import { describeValue } from "../../kernels/core/tensor.ts";

/** A tensor for each parameter of a network by its name, see `namedParameters`: the parameters, or values for them. */
export type NamedTensors = ReadonlyMap<string, Tensor>;

/** Every parameter starts at a multiple of this many elements: WebGPU binds from multiples of 256 bytes only. */
const alignment = 64;

/** Memory that parameters share here: the gaps between them hold zeros, which updates may touch. */
const flatMemory = new WeakSet<Storage>();

/**
 * Zeros for each parameter, side by side: gradients, moments, averages.
 *
 * @param order names in the order of memory, by default that of the parameters
 * @returns `views` in the shapes of the parameters, and the whole memory, f32[n] each: in several `chunks` if a kernel
 * cannot bind one that large
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

/** The first aligned element after a tensor. */
function endOf(offset: number, size: number): number {
  return Math.ceil((offset + size) / alignment) * alignment;
}

/**
 * Groups parameters that lie side by side in all of several memories, so that one kernel can take them together.
 *
 * @param names in the order of memory
 * @param all values by name
 * @param join whether two neighbours may be together; by default they may
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

/** The memory of a run of parameters with the gaps between them, f32[n]; see `runsOf`. */
export function rangeOf(values: NamedTensors, run: readonly string[]): Tensor {
  const first = values.get(run[0])!, last = values.get(run[run.length - 1])!;
  return new Tensor(first.storage, [last.offset + last.size - first.offset], "f32", first.offset);
}

/**
 * Moves the parameters of a network side by side in memory, so that an optimizer updates them with few kernels.
 * `createModel` has done so for its networks. Call it for a network of your own once it is made: views, steps and
 * samplers made before cannot be used any more.
 *
 * @param parameters by name, see `namedParameters`; they keep their values
 * @returns the same map
 * @throws {RangeError} if two parameters share memory
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
        "Cannot use memory that flatten() has left: call it before views, steps and samplers are made",
      );
    }
  }
  return parameters;
}

/** @throws {UserError} if parameters are not a map, such as a module */
export function checkNamed(task: string, parameters: NamedTensors): void {
  if (parameters instanceof Map) return;
  throw new UserError(
    `Cannot ${task}: the parameters are ${
      describeValue(parameters)
    } (expected those of namedParameters(model))`,
  );
}

/** @throws {RangeError} if parameters are parts of one memory: each would be updated by the gradient of its own use */
export function checkApart(parameters: NamedTensors): void {
  const byMemory = Map.groupBy(parameters, ([, { storage }]) => storage);
  for (const together of byMemory.values()) {
    const inOrder = together.toSorted(([, a], [, b]) => a.offset - b.offset || a.size - b.size);
    inOrder.slice(1).forEach(([name, { offset }], i) => {
      const [before, { offset: from, size }] = inOrder[i];
      if (offset >= from + size) return;
      throw new RangeError(
        `Cannot train "${before}" and "${name}": they share memory (expected parameters apart from each other); ` +
          "where two layers have the same weights, use one tensor under one name",
      );
    });
  }
}

/**
 * Runs a synchronous function while parameters have other values, such as averages. Steps recorded inside keep using
 * them; take `gradients` of what it computes inside, too.
 *
 * @param parameters by name, see `namedParameters`
 * @param values for each of them
 * @throws {RangeError} if a parameter has no value
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
 * Gives parameters the memory of other values, such as the averages of a trainer: from now on they change together, and
 * to train one is to train the other. Steps recorded before keep the values that the parameters lose.
 *
 * @param parameters by name, see `namedParameters`
 * @param values for each of them
 * @throws {RangeError} if a parameter has no value
 */
export function shareParameters(parameters: NamedTensors, values: NamedTensors): void {
  pointTo("share", parameters, values);
}

function pointTo(task: string, parameters: NamedTensors, values: NamedTensors): void {
  const lacking = parameters.keys().find((name) => !values.has(name));
  if (lacking !== undefined) {
    throw new RangeError(`Cannot ${task} parameters: there are no values for "${lacking}"`);
  }
  for (const [name, parameter] of parameters) parameter.pointTo(values.get(name)!);
}
