/** Reports on made-up runs with known numbers. */

import { encodePng, imageGrid, type Trajectory } from "../../../viz/mod.ts";
import type {
  Comparison,
  PlaneTrajectories,
  Quality,
  ReportData,
  ReportRun,
} from "../../../viz/report/mod.ts";

/** Height and width of the images, which are not square. */
export const size = { H: 12, W: 16 } as const;
const { H, W } = size;
const P = H * W;

/** A name that would run a script if it were not escaped. */
export const hostile = `</script><img src=x onerror="document.title='hurt'"> & <b>co</b>`;

/** The value of a pixel of sample s at time t, and its velocity; both may be negative. */
export const valueAt = (s: number, t: number, row: number, column: number) =>
  Math.cos(row + 2 * column + s) * (1 - t) + t * (row / H - column / W);
export const velocityAt = (s: number, row: number, column: number) =>
  row / H - column / W - Math.cos(row + 2 * column + s);

function trajectory(s: number, M: number): Trajectory {
  const t = Float32Array.from({ length: M }, (_, m) => m / (M - 1));
  const pixel = (i: number) => [Math.floor(i % P / W), i % W] as const;
  return {
    t,
    image: Float32Array.from({ length: M * P }, (_, i) => valueAt(s, t[Math.floor(i / P)], ...pixel(i))),
    velocity: Float32Array.from({ length: (M - 1) * P }, (_, i) => velocityAt(s, ...pixel(i))),
    shape: [M, H, W],
  };
}

/** Straight trajectories in a plane, of ten classes. */
export function plane(M: number, N: number): PlaneTrajectories {
  const to = (n: number) => [4 * Math.cos(n), 4 * Math.sin(n)];
  return {
    t: Float32Array.from({ length: M }, (_, m) => m / (M - 1)),
    position: Float32Array.from({ length: M * N * 2 }, (_, i) => {
      return Math.floor(i / (2 * N)) / (M - 1) * to((i >> 1) % N)[i % 2];
    }),
    velocity: Float32Array.from({ length: (M - 1) * N * 2 }, (_, i) => to((i >> 1) % N)[i % 2]),
    speed: new Float32Array((M - 1) * N).map((_, i) => 1 + i % N),
    straightness: new Float32Array((M - 1) * N).fill(1),
    image: Float32Array.from({ length: N * P }, (_, i) => i % W / W),
    judged: { classes: Uint8Array.from({ length: N }, (_, n) => n % 10), accuracy: 0.9 },
    real: {
      position: Float32Array.from({ length: 60 }, (_, i) => Math.sin(i)),
      classes: new Uint8Array(30).map((_, n) => n % 10),
    },
    share: [0.1, 0.07],
    shape: [M, N, H, W],
  };
}

/** A made-up run. */
export function run(name: string, more: Partial<ReportRun> = {}): ReportRun {
  const step = Array.from({ length: 40 }, (_, i) => 5 * (i + 1));
  return {
    name,
    summary: `${name} in one sentence.`,
    results: [["Test loss", "0.2000"]],
    settings: [["lr", "0.001"]],
    environment: [["os", "linux"]],
    trainLoss: { step, value: step.map((s) => 1 / s) },
    gradientNorm: { step, value: step.map((s) => 2 / s) },
    valLoss: { step: [100, 200], value: [0.3, 0.25] },
    learningRate: { step, value: step.map(() => 1e-3) },
    lossByTime: [{ from: 0, to: 0.5, images: 3, loss: 0.5 }, { from: 0.5, to: 1, images: 0, loss: null }],
    samplesPng: encodePng(imageGrid(new Float32Array(4 * P).fill(0.5), [4, H, W])),
    trajectories: [1, 2].map((s) => trajectory(s, 21)),
    plane: plane(6, 20),
    ...more,
  };
}

/**
 * Two models. At t = 0 of the first noise, their velocities are 0 and 0.25 on A's trajectory, and 0 and 0.5 on B's. At the
 * k-th time they are 1 + k / 4 times as large, and for the second noise larger by 1.
 */
function comparison(): Comparison {
  const [S, T] = [2, 4];
  const full = (value: number) =>
    Float32Array.from({ length: S * T * P }, (_, i) => {
      const [s, k] = [Math.floor(i / (T * P)), Math.floor(i / P) % T];
      return value * (1 + k / 4 + s);
    });
  const between = (distance: number) =>
    [0, distance].map((a) => [0, distance].map((b) => Array(T).fill(Math.abs(a - b))));
  return {
    runs: [0, 1],
    t: Float32Array.of(0, 0.25, 0.5, 0.75),
    shape: [S, T, 1, H, W],
    points: [full(0.2), full(0.4)],
    velocities: [[full(0), full(0.25)], [full(0), full(0.5)]],
    difference: [between(0.25), between(0.5)],
  };
}

/** One run with a hostile name. */
export const one: ReportData = { runs: [run(hostile)] };

/** Two runs side by side. */
export const two: ReportData = { runs: [run("residual"), run("base")], comparison: comparison() };

/** Made-up quality with four samples and their two nearest training images. */
export function quality(more: Partial<Quality> = {}): Quality {
  const [N, K] = [4, 2];
  return {
    how: "4 samples from the noise of seed 0, heun with 20 steps.",
    figures: [
      {
        title: "Confident",
        meaning: "Share that a judge recognises",
        better: "higher",
        share: true,
        value: 0.9,
        low: 0.85,
        high: 0.94,
        real: 0.98,
        noise: 0.01,
        cost: "160 evaluations, 0.2 s",
      },
      {
        title: "Fréchet distance",
        meaning: "How far two clouds are apart",
        better: "lower",
        value: 6.2,
        low: 5.1,
        high: 7.9,
        real: 1.5,
        noise: 963,
        cost: "160 evaluations, 0.2 s",
      },
    ],
    samples: {
      shape: [N, K, 1, H, W],
      image: Float32Array.from({ length: N * P }, (_, i) => i % W / W),
      nearest: Float32Array.from({ length: N * K * P }, (_, i) => i % H / H),
      confidence: Float32Array.of(0.3, 0.6, 0.9, 1),
      classes: [3, 1, 4, 1],
      rank: Float32Array.of(0, 0.25, 0.5, 0.75),
    },
    ...more,
  };
}

/** The straightness and curvature of the same run. */
export const overTime = { t: [0, 0.5], straightness: [0.4, 0.1], curvature: [0.9, 0.2] };
