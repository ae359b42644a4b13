/** Memory that notices what a GPU would do differently from run to run: races, and accesses out of bounds. */

/** The invocation that runs now: its number in the dispatch and in its workgroup. */
export const running = { index: 0, lane: 0, dispatch: "" };

let clock = 1;

/** Reserves numbers for invocations; those after `count` mean several. */
function reserve(count: number): number {
  const from = clock;
  clock += count + 1;
  return from;
}

/** Thrown if a kernel does something that WebGPU leaves undefined or its default limits do not allow. */
export class EmulatorError extends Error {
  /** Class name. */
  override name = "EmulatorError";
}

/** Words of one variable, with the latest reader and writer of each. */
export class Memory {
  readonly #words: Float32Array | Uint32Array;
  readonly #writers: Float64Array;
  readonly #readers: Float64Array;
  /** Numbers below are of earlier epochs: other dispatches or, in a workgroup, times before a barrier. */
  #epoch = 0;
  /** The number that means several readers. */
  #several = 0;

  constructor(
    readonly name: string,
    words: Float32Array | Uint32Array,
    readonly isWritable: boolean,
    readonly isLocal = false,
  ) {
    this.#words = words;
    this.#writers = new Float64Array(isWritable ? words.length : 0);
    this.#readers = new Float64Array(isWritable ? words.length : 0);
  }

  /** Begins an epoch of `count` invocations. */
  begin(count: number): void {
    this.#epoch = reserve(count);
    this.#several = this.#epoch + count;
  }

  /** Sets all words to 0, as for a new workgroup. */
  clear(): void {
    this.#words.fill(0);
  }

  get #id(): number {
    return this.#epoch + (this.isLocal ? running.lane : running.index);
  }

  word(at: number): number {
    if (!this.#holds(at)) return NaN; // some other value of the buffer on a GPU: it must not matter
    if (this.isWritable) {
      const [id, writer, reader] = [this.#id, this.#writers[at], this.#readers[at]];
      if (writer >= this.#epoch && writer !== id) this.#race(at, "reads what another writes");
      this.#readers[at] = reader < this.#epoch || reader === id ? id : this.#several;
    }
    return this.#words[at];
  }

  setWord(at: number, value: number): void {
    if (!this.#holds(at)) {
      throw new EmulatorError(
        `${running.dispatch}: an invocation writes word ${at} of ${this.name}, which has ${this.#words.length}`,
      );
    }
    const [id, writer, reader] = [this.#id, this.#writers[at], this.#readers[at]];
    if (writer >= this.#epoch && writer !== id) this.#race(at, "writes what another writes");
    if (reader >= this.#epoch && reader !== id) this.#race(at, "writes what another reads");
    this.#writers[at] = id;
    this.#words[at] = value;
  }

  vector(at: number, length: number): number[] {
    const values: number[] = []; // Array.from() would take a third of the time of all tests of the emulator
    for (let i = 0; i < length; i++) values.push(this.word(at + i));
    return values;
  }

  setVector(at: number, values: readonly number[]): void {
    for (let i = 0; i < values.length; i++) this.setWord(at + i, values[i]);
  }

  #holds(at: number): boolean {
    return at >= 0 && at < this.#words.length;
  }

  #race(at: number, what: string): never {
    throw new EmulatorError(
      `${running.dispatch}: an invocation ${what}, word ${at} of ${this.name}, without a barrier between`,
    );
  }
}
