/** Code of the type v128 in WebAssembly. */
const v128 = 0x7b;

/** Multiplication, and addition or subtraction, of each fused instruction: `f32x4.relaxed_madd` and the next three. */
const parts: Readonly<Record<number, readonly [multiply: number, combine: number]>> = {
  0x105: [0xe6, 0xe4],
  0x106: [0xe6, 0xe5],
  0x107: [0xf2, 0xf0],
  0x108: [0xf2, 0xf1],
};

/** Opcodes of additions among them. */
const adds = new Set([0xe4, 0xf0]);

/** Number of integers after an opcode: one after blocks, branches, calls, variables and constants, two after loads. */
const following = new Uint8Array(256);
following.fill(1, 0x02, 0x05).fill(1, 0x0c, 0x0e).fill(1, 0x10, 0x11).fill(2, 0x11, 0x12).fill(1, 0x20, 0x25);
following.fill(2, 0x28, 0x3f).fill(1, 0x3f, 0x43);

type Bytes = Uint8Array | readonly number[];

const lengthOf = (parts: readonly Bytes[]) => parts.reduce((total, { length }) => total + length, 0);

/** A whole number as LEB128. */
function leb(value: number): number[] {
  return value < 128 ? [value] : [value % 128 + 128, ...leb(Math.floor(value / 128))];
}

/**
 * The same WebAssembly module for engines without relaxed SIMD: a fused a b + c becomes a product and a sum, -a b + c a
 * product and a difference. So one build of the kernels serves all engines.
 *
 * @param wasm a module; the modules that it imports functions from are not changed
 */
export function unfused(wasm: Uint8Array): Uint8Array<ArrayBuffer> {
  let at = 8;
  /** Reads a whole number. */
  const number = (): number => {
    let value = 0;
    for (let unit = 1;; unit *= 128) {
      const byte = wasm[at++];
      value += byte % 128 * unit;
      if (byte < 128) return value;
    }
  };
  const skipNumbers = (count: number) => {
    for (let i = 0; i < count; i++) number();
  };

  /** Skips the operands of an opcode, and returns the parts of a fused instruction. */
  function passImmediates(opcode: number): readonly [number, number] | undefined {
    if (opcode === 0xfd) {
      const simd = number();
      if (simd < 12 || simd === 92 || simd === 93) skipNumbers(2); // address
      else if (simd === 12 || simd === 13) at += 16; // constant, shuffle
      else if (simd >= 21 && simd <= 34) at++; // lane
      else if (simd >= 84 && simd <= 91) skipNumbers(2), at++; // address and lane
      return parts[simd];
    }
    if (opcode === 0xfe) skipNumbers(number() === 3 ? 1 : 2); // atomic: fence, or address
    else if (opcode === 0xfc) skipNumbers([2, 1, 2, 1][number() - 8] ?? 0); // bulk memory: init, drop, copy, fill
    else if (opcode === 0x0e) skipNumbers(number() + 1); // br_table
    else if (opcode === 0x43) at += 4;
    else if (opcode === 0x44) at += 8;
    else skipNumbers(following[opcode]);
  }

  const parameters: number[] = [], types: number[] = [];
  const made: Bytes[] = [wasm.subarray(0, at)];
  while (at < wasm.length) {
    const start = at, section = wasm[at++], size = number(), end = at + size;
    if (section === 1) { // types
      for (let count = number(); count > 0; count--) {
        at++;
        const inputs = number();
        parameters.push(inputs);
        at += inputs;
        const results = number();
        at += results;
      }
    } else if (section === 3) { // functions
      for (let count = number(); count > 0; count--) types.push(number());
    }
    if (section !== 10) {
      made.push(wasm.subarray(start, end));
      at = end;
      continue;
    }
    const bodies: Bytes[] = [leb(number())];
    for (const type of types) {
      const size = number(), last = at + size;
      const groups = number(), first = at;
      let variables = parameters[type];
      for (let i = 0; i < groups; i++, at++) variables += number();
      // Two more variables, for the addend and the product.
      const body: Bytes[] = [leb(groups + 1), wasm.subarray(first, at), [2, v128]];
      const addend = leb(variables), product = leb(variables + 1);
      let kept = at;
      while (at < last) {
        const here = at, instruction = passImmediates(wasm[at++]);
        if (!instruction) continue;
        const [multiply, combine] = instruction.map((simd) => [0xfd, ...leb(simd)]);
        const operands = adds.has(instruction[1]) ? [product, addend] : [addend, product];
        const loads = operands.flatMap((variable) => [0x20, ...variable]);
        body.push(wasm.subarray(kept, here), [
          0x21,
          ...addend,
          ...multiply,
          0x21,
          ...product,
          ...loads,
          ...combine,
        ]);
        kept = at;
      }
      body.push(wasm.subarray(kept, last));
      bodies.push(leb(lengthOf(body)), ...body);
    }
    made.push([section, ...leb(lengthOf(bodies))], ...bodies);
  }
  const result = new Uint8Array(lengthOf(made));
  let to = 0;
  for (const bytes of made) {
    result.set(bytes, to);
    to += bytes.length;
  }
  return result;
}
