// 3x3 convolutions with one pixel of padding; the input gradient is one, too.

import { nextTask, pointer, word } from "./call.ts";
import { add, splat } from "./simd.ts";
import { me, WORKSPACE } from "./team.ts";
import { sixTiles } from "./tiles.ts";
import { interleave, transformSource, transformTarget, transformWeight } from "./winograd.ts";

/** Bytes between two of the 36 elements: an odd number of cache lines, lest all fall on the same few of the cache. */
export function elementStep(vectors: i32): usize {
  return (((<usize> vectors) << 4) + 63 & ~127) + 64;
}

export function quadsOf(channels: i32): i32 {
  return (channels + 3) >> 2;
}

/** U[36][K / 8][C][8] of weights w[k][c] with strides in bytes. A task is eight target channels. */
export function convWeights(call: usize): void {
  const w = pointer(call, 0);
  const C = word(call, 1), K = word(call, 2);
  const strideC = pointer(call, 3), strideK = pointer(call, 4);
  const turned = word(call, 5) != 0;
  const panels = (K + 7) >> 3;
  const height = quadsOf(C) << 2;
  const panel: usize = (<usize> height) << 5;
  const step = panel * panels;
  const work = load<usize>(WORKSPACE);
  const rows = work + step * 36 + (<usize> me) * 288;
  for (let task = nextTask(call); task < 2 * panels; task = nextTask(call)) {
    const k = task << 2;
    const to = work + (<usize> (task >> 1)) * panel + ((<usize> (task & 1)) << 4);
    for (let c = 0; c < height; c++) {
      const target = to + ((<usize> c) << 5);
      if (c < C && k < K) {
        transformWeight(
          w + (<usize> k) * strideK + (<usize> c) * strideC,
          strideK,
          K - k,
          turned,
          rows,
          target,
          step,
        );
      } else for (let i = 0; i < 36; i++) v128.store(target + (<usize> i) * step, f32x4.splat(0));
    }
  }
}

/** An image [H][W pitched][4] to four planes, plus a bias for each and, if there is one, another image. */
function deinterleave(
  from: usize,
  pitch: i32,
  H: i32,
  W: i32,
  bias: usize,
  addend: usize,
  to: usize,
  channels: i32,
): void {
  const plane: usize = (<usize> (H * W)) << 2;
  for (let k = 0; k < channels; k++) {
    const offset = bias ? load<f32>(bias + ((<usize> k) << 2)) : 0;
    const shift = splat(offset);
    const lane: usize = (<usize> k) << 2;
    for (let h = 0; h < H; h++) {
      const source = from + ((<usize> (h * pitch)) << 4) + lane;
      const target: usize = (<usize> k) * plane + ((<usize> (h * W)) << 2);
      let w = 0;
      for (; w + 4 <= W; w += 4) {
        const at = source + ((<usize> w) << 4);
        let v = v128.load_splat<f32>(at);
        v = v128.load_lane<f32>(at, v, 1, 16);
        v = v128.load_lane<f32>(at, v, 2, 32);
        v = v128.load_lane<f32>(at, v, 3, 48);
        v = add(v, shift);
        const there = target + ((<usize> w) << 2);
        if (addend) v = add(v, v128.load(addend + there));
        v128.store(to + there, v);
      }
      for (; w < W; w++) {
        const there = target + ((<usize> w) << 2);
        let value = load<f32>(source + ((<usize> w) << 4)) + offset;
        if (addend) value += load<f32>(addend + there);
        store<f32>(to + there, value);
      }
    }
  }
}

/** A whole convolution of images with weights that `convWeights` has left in the workspace. A task is `chunk` images. */
export function convolve(call: usize): void {
  const source = pointer(call, 0),
    target = pointer(call, 1),
    bias = pointer(call, 2),
    addend = pointer(call, 3);
  const N = word(call, 4), C = word(call, 5), H = word(call, 6), W = word(call, 7), K = word(call, 8);
  const B = word(call, 9), chunk = word(call, 10);
  const work = load<usize>(WORKSPACE);
  const down = (H + 3) >> 2, across = (W + 3) >> 2, tiles = down * across;
  const quadsC = quadsOf(C), quadsK = quadsOf(K), panels = (K + 7) >> 3;
  const slots = (chunk * tiles + 5) / 6 * 6;
  const panel: usize = (<usize> quadsC) << 7;
  const uStep = panel * panels;
  const vStep = elementStep(quadsC * slots), mStep = elementStep(2 * panels * slots);
  const row: usize = (<usize> slots) << 4;

  const pixels: usize = (<usize> ((4 * down + 2) * (4 * across + 2))) << 4;
  const image = work + pointer(call, 11) + (<usize> me) * pointer(call, 12);
  const rows = image + pixels;
  const V = rows + (<usize> (6 * (4 * across + 2)) << 4) + 576;
  const M = V + 36 * vStep;
  const plane: usize = (<usize> (H * W)) << 2;

  for (let task = nextTask(call); task * chunk < N; task = nextTask(call)) {
    const first = task * chunk;
    const images = min(chunk, N - first);
    const count = images * tiles;
    clearBorder(image, H, W, down, across);
    for (let q = 0; q < quadsC; q++) {
      for (let i = 0; i < images; i++) {
        interleave(
          source + (<usize> ((first + i) * C + 4 * q)) * plane,
          C - 4 * q,
          H,
          W,
          image,
          4 * across + 2,
          1,
        );
        transformSource(image, down, across, rows, V + ((<usize> (q * slots + i * tiles)) << 4), vStep);
      }
    }
    for (let f: usize = 0; f < 36; f++) {
      for (let pair = 0; pair < panels; pair++) {
        const u = work + f * uStep + (<usize> pair) * panel;
        const v = V + f * vStep;
        const m = M + f * mStep + (<usize> (2 * pair)) * row;
        for (let t = 0; t < count; t += 6) {
          sixTiles(v + ((<usize> t) << 4), row, u, quadsC, m + ((<usize> t) << 4), row);
        }
      }
    }
    for (let q = 0; q < quadsK; q++) {
      for (let i = 0; i < images; i++) {
        const n = first + i;
        transformTarget(M + ((<usize> (q * slots + i * tiles)) << 4), mStep, down, across, rows, image);
        const to: usize = (<usize> (n * K + 4 * q)) * plane;
        const biases = bias ? bias + ((<usize> ((n % B) * K + 4 * q)) << 2) : 0;
        deinterleave(
          image,
          4 * across,
          H,
          W,
          biases,
          addend ? addend + to : 0,
          target + to,
          min(4, K - 4 * q),
        );
      }
    }
  }
}

/** Zeros around an image [4 down + 2][4 across + 2][4] whose inside is overwritten next. */
function clearBorder(image: usize, H: i32, W: i32, down: i32, across: i32): void {
  const pitch: usize = (<usize> (4 * across + 2)) << 4;
  memory.fill(image, 0, pitch);
  for (let h = 1; h <= H; h++) {
    const row = image + (<usize> h) * pitch;
    memory.fill(row, 0, 16);
    memory.fill(row + ((<usize> (W + 1)) << 4), 0, pitch - ((<usize> (W + 1)) << 4));
  }
  memory.fill(image + (<usize> (H + 1)) * pitch, 0, (<usize> (4 * down + 1 - H)) * pitch);
}
