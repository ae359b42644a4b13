// Writes WebAssembly as bytes, because asc would reorder the instructions of an unrolled block.

/** Numbers of WebAssembly instructions. */
// deno-fmt-ignore
export const op = {
  // control
  loop: 0x03, if: 0x04, else: 0x05, end: 0x0b, branchIf: 0x0d,
  // locals
  get: 0x20, set: 0x21, tee: 0x22,
  // whole numbers
  constant: 0x41, isZero: 0x45, isGreater: 0x4a, plus: 0x6a, minus: 0x6b, product: 0x6c, and: 0x71,
  // vectors, after the prefix `simd`
  simd: 0xfd, load: 0, splat: 9, store: 11, vector: 12, shuffle: 13, plusVectors: 0xe4, times: 0xe6, timesPlus: 0x105,
} as const;
/** Type of a whole number of 32 bits. */
export const wholeNumber = 0x7f;
/** Type of a vector. */
export const vector = 0x7b;
/** Type of a block without a result. */
export const nothing = 0x40;

/** Bytes of a module under construction. Arrays of instructions would take ten times as long to join. */
export class Writer {
  #bytes = new Uint8Array(1 << 19);
  #length = 0;

  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  byte(value: number): void {
    if (this.#length === this.#bytes.length) {
      const longer = new Uint8Array(2 * this.#length);
      longer.set(this.#bytes);
      this.#bytes = longer;
    }
    this.#bytes[this.#length++] = value;
  }

  /** A whole number as LEB128; those that an instruction puts on the stack are signed. */
  number(value: number, isSigned = false): void {
    for (; value >= (isSigned ? 64 : 128); value >>>= 7) this.byte(value & 127 | 128);
    this.byte(value);
  }

  /** An instruction with a number. */
  take(instruction: number, value: number): void {
    this.byte(instruction);
    this.number(value, instruction === op.constant);
  }

  simd(instruction: number): void {
    this.take(op.simd, instruction);
  }

  /** An access at an offset from the address on the stack, aligned as numbers are. */
  access(instruction: number, offset: number): void {
    this.simd(instruction);
    this.take(2, offset);
  }

  text(text: string): void {
    this.number(text.length);
    for (const letter of text) this.byte(letter.charCodeAt(0));
  }

  /** What `write` writes, preceded by its length in four bytes. */
  sized(write: () => void): void {
    const at = this.#length;
    for (let i = 0; i < 4; i++) this.byte(0);
    write();
    const size = this.#length - at - 4;
    for (let i = 0; i < 4; i++) this.#bytes[at + i] = size >>> 7 * i & 127 | (i < 3 ? 128 : 0);
  }

  /** A vector of zeros. */
  zeros(): void {
    this.simd(op.vector);
    for (let i = 0; i < 16; i++) this.byte(0);
  }

  /** Four copies of a lane of a local. */
  lane(local: number, lane: number): void {
    this.take(op.get, local);
    this.take(op.get, local);
    this.simd(op.shuffle);
    for (let i = 0; i < 16; i++) this.byte(4 * lane + i % 4);
  }

  /** Sets a local to what an instruction loads from a constant address. */
  load(address: number, local: number, instruction: number = op.load): void {
    this.take(op.constant, 0);
    this.access(instruction, address);
    this.take(op.set, local);
  }

  /** Stores what `writeValue` leaves on the stack at a constant address. */
  store(address: number, writeValue: () => void): void {
    this.take(op.constant, 0);
    writeValue();
    this.access(op.store, address);
  }

  /** local = from + by, where `by` is what an instruction puts on the stack. */
  advance(local: number, from: number, instruction: number, by: number): void {
    this.take(op.get, from);
    this.take(instruction, by);
    this.byte(op.plus);
    this.take(op.set, local);
  }

  /** sum += factor line. */
  multiplyAdd(sum: number, factor: number, line: number, fused: boolean): void {
    this.take(op.get, factor);
    this.take(op.get, line);
    if (!fused) this.simd(op.times);
    this.take(op.get, sum);
    this.simd(fused ? op.timesPlus : op.plusVectors);
    this.take(op.set, sum);
  }

  section<Item>(id: number, items: readonly Item[], write: (item: Item, i: number) => void): void {
    this.byte(id);
    this.sized(() => {
      this.number(items.length);
      items.forEach(write);
    });
  }
}
