// The weight gradient of 3x3 convolutions with one pixel of padding.

import { nextTask, pointer, word } from "./call.ts";
import { elementStep, quadsOf } from "./conv2d.ts";
import { add } from "./simd.ts";
import { me, WORKSPACE } from "./team.ts";
import { overTiles } from "./tiles.ts";
import { interleave, transformGradient, transformSource, transformWeightGradient } from "./winograd.ts";

/** dU of groups of `run` images, each in parts, to the workspace: [group][part][36][K / 8][C][8]. A task is a part. */
export function convWeightGradientParts(call: usize): void {
  const x = pointer(call, 0), dy = pointer(call, 1);
  const N = word(call, 2), C = word(call, 3), H = word(call, 4), W = word(call, 5), K = word(call, 6);
  const groups = word(call, 7), run = word(call, 8), parts = word(call, 9), chunk = word(call, 10);
  const work = load<usize>(WORKSPACE);
  const down = (H + 3) >> 2, across = (W + 3) >> 2, tiles = down * across;
  const quadsC = quadsOf(C), quadsK = quadsOf(K), panels = (K + 7) >> 3;
  const slots = chunk * tiles;
  const panel: usize = (<usize> quadsC) << 7;
  const uStep = panel * panels;
  const vStep = elementStep(quadsC * slots), dStep = elementStep(2 * panels * slots);
  const row: usize = (<usize> slots) << 4;

  const pixels: usize = (<usize> ((4 * down + 2) * (4 * across + 2))) << 4;
  const image = work + pointer(call, 11) + (<usize> me) * pointer(call, 12);
  const edge = image + pixels;
  const rows = edge + pixels;
  const V = rows + (<usize> (6 * (4 * across + 2)) << 4);
  const D = V + 36 * vStep;
  const plane: usize = (<usize> (H * W)) << 2;
  memory.fill(image, 0, 2 * pixels);

  for (let task = nextTask(call); task < groups * parts; task = nextTask(call)) {
    const start = task / parts * run, all = min(run, N - start), part = task % parts;
    const end = start + (part + 1) * all / parts;
    const U = work + (<usize> task) * 36 * uStep;
    memory.fill(U, 0, 36 * uStep);
    for (let first = start + part * all / parts; first < end; first += chunk) {
      const images = min(chunk, end - first);
      const count = images * tiles;
      for (let i = 0; i < images; i++) {
        const n = first + i;
        for (let q = 0; q < quadsC; q++) {
          interleave(x + (<usize> (n * C + 4 * q)) * plane, C - 4 * q, H, W, image, 4 * across + 2, 1);
          transformSource(image, down, across, rows, V + ((<usize> (q * slots + i * tiles)) << 4), vStep);
        }
        for (let q = 0; q < quadsK; q++) {
          interleave(dy + (<usize> (n * K + 4 * q)) * plane, K - 4 * q, H, W, edge, 4 * across, 0);
          transformGradient(edge, down, across, rows, D + ((<usize> (q * slots + i * tiles)) << 4), dStep);
        }
      }
      for (let f: usize = 0; f < 36; f++) {
        for (let q = 0; q < quadsC; q++) {
          const v = V + f * vStep + (<usize> q) * row;
          for (let pair = 0; pair < panels; pair++) {
            const u = U + f * uStep + (<usize> pair) * panel + ((<usize> q) << 7);
            const d = D + f * dStep + (<usize> (2 * pair)) * row;
            overTiles(v, d, row, count, u);
          }
        }
      }
    }
  }
}

/** dw of each group from the sum of its parts. A task is four target channels of a group. */
export function convWeightGradientSum(call: usize): void {
  const dw = pointer(call, 0);
  const C = word(call, 1), K = word(call, 2), groups = word(call, 3), parts = word(call, 4);
  const quadsK = quadsOf(K), panels = (K + 7) >> 3;
  const panel: usize = (<usize> quadsOf(C)) << 7;
  const uStep = panel * panels;
  const work = load<usize>(WORKSPACE);
  const u = work + (<usize> (groups * parts)) * 36 * uStep + (<usize> me) * 1024;
  const rows = u + 576, result = rows + 288;
  for (let task = nextTask(call); task < groups * quadsK; task = nextTask(call)) {
    const q = task % quadsK, group = task / quadsK;
    const first = work + (<usize> (group * parts)) * 36 * uStep + (<usize> (q >> 1)) * panel +
      ((<usize> (q & 1)) << 4);
    for (let c = 0; c < C; c++) {
      const at = first + ((<usize> c) << 5);
      for (let f: usize = 0; f < 36; f++) {
        let sum = v128.load(at + f * uStep);
        for (let part: usize = 1; part < <usize> parts; part++) {
          sum = add(sum, v128.load(at + (36 * part + f) * uStep));
        }
        v128.store(u + (f << 4), sum);
      }
      transformWeightGradient(u, 16, rows, result);
      for (let k = 4 * q; k < min(K, 4 * q + 4); k++) {
        const to = dw + (<usize> (((group * K + k) * C + c) * 36));
        for (let tap: usize = 0; tap < 9; tap++) {
          store<f32>(to + (tap << 2), load<f32>(result + (tap << 4) + (<usize> (k & 3) << 2)));
        }
      }
    }
  }
}
