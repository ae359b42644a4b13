import { refuse } from "../../core/checks.ts";
import { Layout } from "./memory_layout.ts";
import { kernelSignatures } from "./kernel_signatures.ts";

/** Name of a WebAssembly kernel of the CPU device. */
export type WasmKernel = keyof typeof kernelSignatures;

/**
 * Parameter names in a kernel's signature, such as `x: usize, n: i32`.
 *
 * @internal
 */
type WasmParameters<Signature extends string> = Signature extends `${infer Name}: ${string}, ${infer Rest}`
  ? Name | WasmParameters<Rest>
  : Signature extends `${infer Name}: ${string}` ? Name
  : never;

/** One call of a WebAssembly kernel: addresses, lengths and other arguments by name. */
export type WasmCall = {
  [K in WasmKernel]: {
    readonly kernel: K;
    readonly args: { readonly [name in WasmParameters<typeof kernelSignatures[K]>]: number };
  };
}[WasmKernel];

/** The arguments for a parameter that is a class: `name.field` for each field. */
export function fieldArguments<Name extends string, Field extends string>(
  name: Name,
  fields: Readonly<Record<Field, number>>,
): Readonly<Record<`${Name}.${Field}`, number>> {
  const named = Object.entries<number>(fields).map(([field, value]) => [`${name}.${field}`, value]);
  return Object.fromEntries(named);
}

/** Names of the kernels by opcode. */
export const kernelNames = Object.keys(kernelSignatures) as readonly WasmKernel[];

/** Opcode and parameters of each kernel, `isReal` for f32. */
const layouts = new Map(
  Object.entries(kernelSignatures).map(([kernel, signature], opcode) => {
    const parameters = signature.split(", ").map((parameter) => {
      const [name, type] = parameter.split(": ");
      return { name, isReal: type === "f32" };
    });
    return [kernel as WasmKernel, { opcode, parameters }];
  }),
);

/**
 * Writes a call to memory in the kernels' format.
 *
 * @param singleThreaded whether it runs on one thread
 * @throws {TypeError} if there is no such kernel, or an argument is missing or not of its type
 */
export function writeCall(
  memory: Readonly<{ f32: Float32Array; u32: Uint32Array }>,
  address: number,
  { kernel, args }: WasmCall,
  singleThreaded = false,
): void {
  const layout = layouts.get(kernel);
  if (!layout) {
    const known = kernelNames.join(", ");
    refuse(TypeError, `call WebAssembly kernel ${kernel}: there is no such kernel`, known);
  }
  const { opcode, parameters } = layout;
  memory.u32[address / 4] = opcode;
  memory.u32[(address + Layout.singleThreaded) / 4] = Number(singleThreaded);
  parameters.forEach(({ name, isReal }, i) => {
    const value = (args as Readonly<Record<string, number>>)[name];
    if (isReal ? typeof value !== "number" : !Number.isInteger(value)) {
      const expected = kernelSignatures[kernel];
      refuse(TypeError, `call WebAssembly kernel ${kernel}: ${name} is ${value}`, expected);
    }
    memory[isReal ? "f32" : "u32"][(address + Layout.words) / 4 + i] = value;
  });
}
