import { type BatchSource, type NoiseDraw, streams } from "../../models/mod.ts";
import { randomBits } from "../../kernels/mod.ts";
import type { TrainingConfig } from "../settings/training.ts";
import type { ImageSource } from "./image_source.ts";

/**
 * Training images that are mirrored and shifted at random, anew at each step. What happens to an image depends on the seed,
 * the step and the image alone, so a resumed run sees the same.
 *
 * @param flip whether half of them are mirrored, left to right
 * @param shift most pixels along each axis; the edges of an image are continued
 * @returns the source itself if there is nothing to do
 */
export function augmented(
  source: ImageSource,
  { flip, shift }: Pick<TrainingConfig, "flip" | "shift">,
): BatchSource {
  if (!flip && shift === 0) return source;
  const [C, H, W] = source.shape;
  const moveAll = (bytes: Uint8Array, examples: Uint32Array, { seed, step }: NoiseDraw) => {
    const [stepSeed] = randomBits(seed, streams.augmentation, step, 1);
    examples.forEach((example, n) => {
      const bits = randomBits(stepSeed, streams.augmentation, example, 3);
      const by = (i: number) => Math.floor(bits[i] * 2 ** -32 * (2 * shift + 1)) - shift;
      const image = bytes.subarray(n * C * H * W, (n + 1) * C * H * W);
      move(image, [H, W], { down: by(0), right: by(1), mirrored: flip && bits[2] >= 2 ** 31 });
    });
    return bytes;
  };
  return {
    shape: source.shape,
    batch: (indices) => source.batch(indices),
    stage: (batchSize) => source.staged(batchSize, moveAll),
    host: {
      ...source.host,
      values(examples, draw) {
        const rows = source.rows(examples);
        return source.normalized(draw ? moveAll(rows, examples, draw) : rows);
      },
    },
  };
}

/** Mirrors an image u8[C, H, W], then shifts it. */
function move(
  image: Uint8Array,
  [H, W]: readonly [number, number],
  { down, right, mirrored }: { readonly down: number; readonly right: number; readonly mirrored: boolean },
): void {
  const before = image.slice();
  const inside = (at: number, length: number) => Math.min(Math.max(at, 0), length - 1);
  for (let row = 0; row < image.length / W; row++) { // of all channels
    const h = row % H;
    const from = (row - h + inside(h - down, H)) * W;
    for (let w = 0; w < W; w++) {
      const column = inside(w - right, W);
      image[row * W + w] = before[from + (mirrored ? W - 1 - column : column)];
    }
  }
}
