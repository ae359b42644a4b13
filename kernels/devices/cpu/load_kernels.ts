import { plain, relaxed } from "./compiled_kernels.ts";

/** The smallest module with `f32x4.relaxed_madd`: it is valid if the engine has the instruction. */
const probe = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 8, 1, 96, 3, 123, 123, 123, 1, 123, 3, 2, 1, 0],
  ...[10, 13, 1, 11, 0, 32, 0, 32, 1, 32, 2, 253, 133, 2, 11],
);

/** Whether this engine fuses multiply and add four at a time. */
export function hasRelaxedSimd(): boolean {
  return WebAssembly.validate(probe);
}

const compiled = new Map<boolean, Promise<WebAssembly.Module>>();

/** The kernels, with fused multiply-add or without; each compiled once. */
export function loadKernels(fused: boolean): Promise<WebAssembly.Module> {
  let module = compiled.get(fused);
  if (!module) {
    compiled.set(fused, module = WebAssembly.compile(Uint8Array.fromBase64(fused ? relaxed : plain)));
  }
  return module;
}
