import type { InputNames, OutputNames } from "../../core/signature.ts";
import type { Dims, Kernel } from "../device.ts";
import type { WasmCall, WasmKernel } from "./wasm_call.ts";

/** Kernel calls from the addresses of an op's buffers by name, and its dims; undefined for dims that no kernel fits. */
export type WasmLowering<S extends string> = (
  addresses: { readonly [name in InputNames<S>[number] | OutputNames<S>[number]]: number },
  dims: Dims,
) => readonly WasmCall[] | undefined;

/** The lowering of an op; that of a name is one call of the kernel with buffers and dims of the same names. */
export function loweringOf<S extends string>(
  wasm: WasmKernel | WasmLowering<S>,
): NonNullable<Kernel["wasm"]> {
  if (typeof wasm !== "string") return wasm as NonNullable<Kernel["wasm"]>;
  return (addresses, dims) => [{ kernel: wasm, args: { ...dims, ...addresses } } as WasmCall];
}
