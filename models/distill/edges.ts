import { abs, averagePool2d, conv2d, reshape, type Tensor, tensor } from "../../kernels/mod.ts";

/** Rows of the cosine transform of three values, orthonormal: their mean, slope and curvature. */
const cosines = [0, 1, 2].map((order) =>
  [0, 1, 2].map((place) => Math.sqrt((order ? 2 : 1) / 3) * Math.cos(Math.PI * order * (2 * place + 1) / 6))
);

/** All products of two rows but that of both means, the plain average: eight filters f32[8, 1, 3, 3]. */
const filters = cosines.flatMap((down) => cosines.map((across) => down.map((a) => across.map((b) => a * b))))
  .slice(1);

/**
 * How strong slopes, corners and thin lines are in each square of size x size pixels, whatever their sign and wherever
 * they lie in it: the mean absolute answer of eight fixed filters of 3 x 3 pixels. It tells smooth strokes from ragged
 * ones, and thin from thick, which a distance of pixels and that of a trained encoder hardly see.
 *
 * @param images f32[N, C, H, W]
 * @param size of a square; rows and columns that fill none are left out
 * @returns f32[N, 8 C, floor(H / size), floor(W / size)]
 */
export function edgeStrengths(images: Tensor, size: number): Tensor {
  const [N, C, H, W] = images.shape;
  const answers = abs(
    conv2d(reshape(images, [N * C, 1, H, W]), tensor(filters.flat(2), [8, 1, 3, 3]), undefined, {
      padding: 1,
    }),
  );
  const pooled = averagePool2d(answers, size);
  const [, , P, Q] = pooled.shape;
  return reshape(pooled, [N, 8 * C, P, Q]);
}
