/**
 * Flow matching on Deno and WebGPU: tensors and autograd, networks and solvers, pictures.
 * Importing has no side effects. `init()` opens the device: a GPU if there is one, otherwise the CPU. `kernels/mod.ts`,
 * `models/mod.ts` and `viz/mod.ts` export the parts.
 *
 * @example Sample from a trained model
 * ```ts
 * import { encodePng, imageGrid, init, openCheckpoint, sample } from "./mod.ts";
 *
 * await init();
 * const { model, range } = await openCheckpoint("checkpoints/mnist_residual.safetensors");
 * const x1 = sample(model, { count: 4 });
 * const png = encodePng(imageGrid(await x1.read(), [4, 28, 28], { range }));
 * console.log(png.length, "bytes of a picture of four digits");
 * ```
 *
 * @example Train your own network: any module with `velocity(x, t)`
 * ```ts
 * import { concat, fit, init, Linear, Module, reshape, sample, type Tensor, tensor } from "./mod.ts";
 *
 * class LinearField extends Module {
 *   map = new Linear(3, 2);
 *   velocity = (x: Tensor, t: Tensor) => this.map.forward(concat([x, reshape(t, [t.size, 1])], 1));
 * }
 *
 * await init();
 * const field = new LinearField();
 * const losses = await fit(field, tensor([3, 4, 3.5, 4.5, 2.5, 3.5], [3, 2]), { steps: 20, learningRate: 0.05 });
 * const points = sample(field, { count: 5 });
 * console.log(losses.at(-1), await points.read());
 * ```
 * @example Use only autograd
 * ```ts
 * import { gradients, init, multiply, sum, tensor } from "./mod.ts";
 *
 * await init();
 * const x = tensor([1, 2, 3]);
 * const [dx] = gradients(sum(multiply(x, x)), [x]);
 * console.log(await dx.read()); // [2, 4, 6]
 * ```
 *
 * @module
 */
export * from "./kernels/mod.ts";
export * from "./models/mod.ts";
export * from "./viz/mod.ts";
