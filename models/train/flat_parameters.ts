import { assign, currentDevice, type Shape, Tensor, zeros } from "../../kernels/mod.ts";
import type { Home, Storage } from "../../kernels/core/storage.ts";
import { sameShape, sizeOf } from "../../kernels/core/shape.ts";
import { checkCount } from "../../kernels/core/count.ts";
import { readState, type State, writeState } from "../files/state.ts";
import { viewsOf } from "./views_of.ts";

/** Every parameter starts at a multiple of this many elements: WebGPU binds from multiples of 256 bytes only. */
export const alignment = 64;

/** Location of a parameter. */
export interface Place {
  /** Index of the chunk. */
  readonly chunk: number;
  /** First element within the chunk. */
  readonly offset: number;
  /** Its shape. */
  readonly shape: Shape;
}

/** The flat memory of parameters that a chunk belongs to. */
const flatOf = new WeakMap<Storage, FlatParameters>();
/** Where each parameter that was moved lies now. What still knows an earlier memory of its finds it there. */
const homes = new WeakMap<Tensor, Home>();
/** Parameters whose values are those of others, see `shareParameters`. */
const sharing = new WeakSet<Tensor>();
/** Parameters that have other values for a while, see `withParameters`. */
const lent: ReadonlySet<Tensor>[] = [];

/**
 * One number for each element of a network's parameters, stored back to back, so that an optimizer updates them all at
 * once. They are split into chunks if one buffer would be larger than a kernel can bind. Gaps hold zeros.
 */
export class FlatParameters {
  /** f32[n] each. */
  readonly chunks: readonly Tensor[];
  /** Each parameter's part of the chunks, in its shape. */
  readonly views: ReadonlyMap<string, Tensor>;
  readonly #places: ReadonlyMap<string, Place>;
  /** The memory of each chunk when it was made; parameters may have moved elsewhere since. */
  readonly #memory: readonly Storage[];

  /** Zeros, laid out by the places of parameters. */
  constructor(places: ReadonlyMap<string, Place>) {
    const lengths: number[] = [];
    for (const { chunk, offset, shape } of places.values()) {
      lengths[chunk] = Math.max(lengths[chunk] ?? 0, endOf(offset, shape));
    }
    this.#places = places;
    this.chunks = lengths.map((length) => zeros([length]));
    this.#memory = this.chunks.map(({ storage }) => storage);
    this.views = new Map(
      Array.from(
        places,
        (
          [name, { chunk, offset, shape }],
        ) => [name, new Tensor(this.chunks[chunk].storage, shape, "f32", offset)],
      ),
    );
  }

  /**
   * Zeros of the same layout: gradients, moments, averages.
   *
   * @param names of the parameters that it is for, by default all; without gaps for the others
   */
  like(names: Iterable<string> = this.#places.keys()): FlatParameters {
    const chosen = new Set(names);
    const kept = new Map([...this.#places].filter(([name]) => chosen.has(name)));
    const ends = new Map<number, number>(); // of each chunk so far
    for (const [name, { chunk, shape }] of inMemoryOrder(kept)) {
      const offset = ends.get(chunk) ?? 0;
      kept.set(name, { chunk, offset, shape });
      ends.set(chunk, endOf(offset, shape));
    }
    const chunks = [...ends.keys()]; // some may have lost all their parameters
    for (const [name, place] of kept) kept.set(name, { ...place, chunk: chunks.indexOf(place.chunk) });
    return new FlatParameters(kept);
  }

  /**
   * Groups parameters that lie side by side in memory.
   *
   * @param names of the parameters
   * @param key of a parameter: neighbours are grouped if they have the same; by default all do
   * @returns names in the order of memory
   */
  runs(names: Iterable<string>, key: (name: string, shape: Shape) => string = () => ""): string[][] {
    const chosen = new Set(names);
    const runs: string[][] = [];
    let before: { readonly place: Place; readonly key: string } | undefined;
    for (const [name, place] of inMemoryOrder(this.#places).filter(([name]) => chosen.has(name))) {
      const own = key(name, place.shape);
      const joins = before?.key === own && before.place.chunk === place.chunk &&
        endOf(before.place.offset, before.place.shape) === place.offset;
      if (joins) runs[runs.length - 1].push(name);
      else runs.push([name]);
      before = { place, key: own };
    }
    return runs;
  }

  /**
   * The memory of parameters that lie side by side, with the gaps between them.
   *
   * @param run names in the order of memory, see `runs`
   * @returns f32[n]
   */
  range(run: readonly string[]): Tensor {
    const [first, last] = [run[0], run[run.length - 1]].map((name) => this.#places.get(name)!);
    const length = last.offset + sizeOf(last.shape) - first.offset;
    return new Tensor(this.chunks[first.chunk].storage, [length], "f32", first.offset);
  }

  /** Makes this the memory of parameters, which stay here if they are laid out in the same way again. */
  settle(): void {
    for (const storage of this.#memory) flatOf.set(storage, this);
  }

  /** Whether parameters lie here already, by the places given. */
  holds(parameters: ReadonlyMap<string, Tensor>, places: ReadonlyMap<string, Place>): boolean {
    const names = [...places.keys()];
    if (`${names}` !== `${[...this.#places.keys()]}`) return false;
    return names.every((name) => {
      const [place, own, parameter] = [places.get(name)!, this.#places.get(name)!, parameters.get(name)!];
      return place.chunk === own.chunk && place.offset === own.offset && sameShape(place.shape, own.shape) &&
        parameter.storage === this.#memory[own.chunk] && parameter.offset === own.offset;
    });
  }

  /** Copies the values of another one of the same layout. */
  copy(source: FlatParameters): void {
    this.chunks.forEach((chunk, i) => assign(chunk, source.chunks[i]));
  }

  /** Copies the values to the host. Later changes do not affect the copy. */
  state(): Promise<State> {
    return readState(this.views);
  }

  /**
   * Overwrites the values.
   *
   * @param source where the state comes from, for messages
   * @throws {StateError} if a name is missing or unknown, or a shape differs
   */
  load(state: State, source: string): void {
    writeState(this.views, state, source);
  }
}

/**
 * Moves parameters into flat memory: the tensors keep their values, but now lie in its chunks. Views of them and steps
 * recorded before follow, so a sampler made earlier sees later training. Parameters that lie as wanted already stay where
 * they are, and all that updates them does so in one memory. If they are laid out in another order, what updated them in
 * the earlier one throws.
 *
 * @param parameters by name, see `namedParameters`
 * @param chunkBytes largest chunk, by default the most that a kernel can bind
 * @param order names in the order of memory, by default that of the parameters; see `memoryOrder`
 * @throws {RangeError} if a parameter is larger than a chunk, two are parts of one memory, or there are no parameters
 * @throws {Error} inside `withParameters` of one of them
 */
export function flatten(
  parameters: ReadonlyMap<string, Tensor>,
  { chunkBytes = currentDevice().maxRangeBytes, order = [...parameters.keys()] }: {
    chunkBytes?: number;
    order?: readonly string[];
  } = {},
): FlatParameters {
  checkCount("flatten parameters", "chunkBytes", chunkBytes, 4);
  const laidOut = layOut(parameters, order, chunkBytes / 4);
  const places = new Map(parameters.keys().map((name) => [name, laidOut.get(name)!]));
  checkApart(parameters);
  if (parameters.values().some((parameter) => lent.some((some) => some.has(parameter)))) {
    throw new Error(
      "Cannot flatten parameters that have other values for a while; make the trainer or the optimizer outside " +
        "withParameters() and withAveraged()",
    );
  }
  const [{ storage }] = parameters.values();
  const known = flatOf.get(storage);
  const isShared = parameters.values().some((parameter) => sharing.has(parameter));
  if (!isShared && known?.holds(parameters, places)) return known;
  const flat = new FlatParameters(places);
  for (const [name, view] of flat.views) assign(view, parameters.get(name)!);
  for (const [name, view] of flat.views) moveTo(parameters.get(name)!, view);
  flat.settle();
  return flat;
}

/** Moves a parameter, and with it all that views or has recorded its memory, unless that is the memory of others. */
function moveTo(parameter: Tensor, { storage, offset }: Tensor): void {
  if (sharing.delete(parameter)) return pointTo(parameter, { storage, offset });
  const home = homes.get(parameter) ?? { storage, offset };
  homes.set(parameter, Object.assign(home, { storage, offset }));
  parameter.storage.move(parameter.offset, parameter.size, home);
  pointTo(parameter, home);
}

function pointTo(parameter: Tensor, { storage, offset }: Readonly<Home>): void {
  parameter.storage = storage;
  parameter.offset = offset;
}

/** @throws {RangeError} if parameters are parts of one memory, which would fall apart */
function checkApart(parameters: ReadonlyMap<string, Tensor>): void {
  const byMemory = Map.groupBy(parameters, ([, { storage }]) => storage);
  for (const together of byMemory.values()) {
    const inOrder = together.toSorted(([, a], [, b]) => a.offset - b.offset || a.size - b.size);
    inOrder.slice(1).forEach(([name, { offset }], i) => {
      const [before, { offset: from, size }] = inOrder[i];
      if (offset >= from + size) return;
      throw new RangeError(
        `Cannot flatten "${before}" and "${name}": they share memory (expected parameters apart from each other); ` +
          "where two layers have the same weights, use one tensor under one name",
      );
    });
  }
}

/**
 * Runs a synchronous function while parameters have other values. Steps recorded inside keep using them; `gradients` of what
 * it computes are taken inside, too.
 *
 * @param parameters by name, see `namedParameters`
 * @param values for each of them
 * @throws {RangeError} if the flat memory lacks a parameter
 */
export function withParameters<T>(
  parameters: ReadonlyMap<string, Tensor>,
  values: FlatParameters,
  run: () => T,
): T {
  const before = Array.from(
    parameters.values(),
    (parameter) => ({ parameter, storage: parameter.storage, offset: parameter.offset }),
  );
  for (const [parameter, view] of viewsOf("exchange", parameters, values)) pointTo(parameter, view);
  lent.push(new Set(parameters.values()));
  try {
    return run();
  } finally {
    lent.pop();
    for (const { parameter, ...home } of before) pointTo(parameter, home);
  }
}

/**
 * Points parameters to flat memory, so that they share its values from now on, until `flatten` or a `Trainer` gives them
 * memory of their own again. Steps recorded before keep the values that the parameters lose.
 *
 * @param parameters by name, see `namedParameters`; they lose their own values
 * @throws {RangeError} if the flat memory lacks a parameter
 */
export function shareParameters(parameters: ReadonlyMap<string, Tensor>, values: FlatParameters): void {
  for (const [parameter, view] of viewsOf("share", parameters, values)) {
    homes.delete(parameter); // where its own values stay
    sharing.add(parameter);
    pointTo(parameter, view);
  }
}

/** Assigns parameters to chunks, in the order given. */
function layOut(
  parameters: ReadonlyMap<string, Tensor>,
  order: readonly string[],
  chunkLength: number,
): Map<string, Place> {
  if (parameters.size === 0) throw new RangeError("Cannot flatten parameters: there are none");
  const places = new Map<string, Place>();
  let chunk = 0;
  let offset = 0;
  for (const name of order) {
    const { shape, size } = parameters.get(name)!;
    if (size > chunkLength) {
      throw new RangeError(
        `Cannot flatten "${name}": it has ${size * 4} bytes (expected at most ${chunkLength * 4})`,
      );
    }
    if (endOf(offset, shape) > chunkLength && offset > 0) [chunk, offset] = [chunk + 1, 0];
    places.set(name, { chunk, offset, shape });
    offset = endOf(offset, shape);
  }
  return places;
}

/** Places as they lie in memory. */
function inMemoryOrder(places: ReadonlyMap<string, Place>): [string, Place][] {
  return [...places].sort(([, a], [, b]) => a.chunk - b.chunk || a.offset - b.offset);
}

/** The first aligned offset after a parameter. */
function endOf(offset: number, shape: Shape): number {
  return Math.ceil((offset + sizeOf(shape)) / alignment) * alignment;
}
