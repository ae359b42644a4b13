/**
 * Flow matching on Deno and WebGPU: tensors and autograd, networks and solvers, pictures.
 *
 * Importing touches nothing: `init()` opens the device.
 *
 * @module
 */
export * from "./kernels/mod.ts";
export * from "./models/mod.ts";
export * from "./viz/mod.ts";
