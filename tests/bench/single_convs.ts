import {
  conv2d,
  type Device,
  gradients,
  multiply,
  randomNormal,
  record,
  sum,
  tensor,
} from "../../kernels/mod.ts";
import { queued, type Work } from "./timing.ts";

/** A convolution of a batch of square images. */
export interface SingleConvolution {
  readonly name: string;
  readonly channels: number;
  readonly size: number;
  readonly kernel: number;
  readonly stride: number;
  readonly groups: number;
}

/** Images in a batch. */
export const batchSize = 64;

/** Convolutions other than the U-Nets' own. */
export const singleConvolutions: readonly SingleConvolution[] = [
  { name: "5x5", channels: 24, size: 8, kernel: 5, stride: 1, groups: 1 },
  { name: "7x7", channels: 24, size: 8, kernel: 7, stride: 1, groups: 1 },
  { name: "3x3 with stride 2", channels: 24, size: 8, kernel: 3, stride: 2, groups: 1 },
  { name: "depthwise 7x7", channels: 24, size: 8, kernel: 7, stride: 1, groups: 24 },
  { name: "5x5", channels: 32, size: 14, kernel: 5, stride: 1, groups: 1 },
  { name: "7x7", channels: 32, size: 14, kernel: 7, stride: 1, groups: 1 },
].map((found) => ({
  ...found,
  name: `step of ${found.name}, ${found.channels} channels, ${found.size}x${found.size}`,
}));

/** A step of each: the result, and the gradients of its product with random numbers. */
export function singleConvolutionWorks(device: Device): Work[] {
  let counter = 0;
  const random = (...shape: number[]) => randomNormal(tensor(Uint32Array.of(1, 9, counter++)), shape);
  return singleConvolutions.map(({ name, channels, size, kernel, stride, groups }) => {
    const inputs = [
      random(batchSize, channels, size, size),
      random(channels, channels / groups, kernel, kernel),
      random(channels),
    ];
    const [x, w, bias] = inputs, options = { stride, padding: kernel >> 1, groups };
    const slope = random(...conv2d(x, w, bias, options).shape);
    const step = record(() => {
      const y = conv2d(x, w, bias, options);
      return [y, ...gradients(sum(multiply(y, slope)), inputs)];
    });
    return queued(device, name, batchSize, "images/s", () => step.run());
  });
}
