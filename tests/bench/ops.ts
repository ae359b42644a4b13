import {
  attend,
  conv2d,
  convTranspose2d,
  type Device,
  gelu,
  groupNorm,
  matmul,
  randomNormal,
  softmax,
  tensor,
} from "../../kernels/mod.ts";
import { registry } from "../../kernels/op.ts";
import { measure, type Measurement } from "./timing.ts";

/** Images in a batch. */
const N = 64;
/** Input channels, output channels and image size of the convolutions in a [16, 32, 64] network. */
const convolutions = [[1, 16, 28], [16, 16, 28], [32, 16, 28], [32, 32, 14], [64, 64, 7]];

/** Times the ops that take most of the U-Nets' training step. */
export async function benchOps(device: Device, report: (found: Measurement) => void): Promise<void> {
  let counter = 0;
  const random = (...shape: number[]) => randomNormal(tensor(Uint32Array.of(1, 9, counter++)), shape);
  const op = (name: string) => registry.get(name)!;

  for (const [C, K, H] of convolutions) {
    const x = random(N, C, H, H), w = random(K, C, 3, 3), bias = random(K), dy = random(N, K, H, H);
    const flop = 2 * N * C * K * 9 * H * H;
    const at = `${C}->${K} ${H}x${H}`;
    const run = Math.ceil(N / 8);
    report(
      await measure(device, `conv2d 3x3 ${at}`, flop, "GFLOP/s", () => conv2d(x, w, bias, { padding: 1 })),
    );
    report(
      await measure(
        device,
        `conv2d input gradient ${at}`,
        flop,
        "GFLOP/s",
        () => op("conv2dInputGradient").run([dy, w], { padding: 1, H, W: H }),
      ),
    );
    report(
      await measure(
        device,
        `conv2d weight gradient ${at}`,
        flop,
        "GFLOP/s",
        () => op("conv2dWeightGradient").run([x, dy], { R: 3, S: 3, padding: 1, run }),
      ),
    );
  }

  const a = random(512, 512), b = random(512, 512);
  report(await measure(device, "matmul 512", 2 * 512 ** 3, "GFLOP/s", () => matmul(a, b)));
  const low = random(N, 32, 14, 14), up = random(32, 16, 2, 2), bias = random(16);
  report(
    await measure(
      device,
      "convTranspose2d 32->16 14x14",
      2 * N * 32 * 16 * 4 * 14 * 14,
      "GFLOP/s",
      () => convTranspose2d(low, up, bias),
    ),
  );
  const x = random(N, 16, 28, 28), gamma = random(16), beta = random(16);
  const bytes = 2 * x.size * 4;
  report(await measure(device, "gelu", bytes, "GB/s", () => gelu(x)));
  report(await measure(device, "groupNorm", bytes, "GB/s", () => groupNorm(x, gamma, beta, { groups: 8 })));
  const [q, k, v] = [0, 1, 2].map(() => random(N, 64, 49));
  report(
    await measure(
      device,
      "attend 64 channels 7x7",
      2 * 2 * N * 64 * 49 ** 2,
      "GFLOP/s",
      () => attend(q, k, v, { scale: 1 / 8 }),
    ),
  );
  const rows = random(N * 49, 49);
  report(await measure(device, "softmax", 2 * rows.size * 4, "GB/s", () => softmax(rows)));
  const key = tensor(Uint32Array.of(1, 2, 3));
  report(await measure(device, "randomNormal", x.size * 4, "GB/s", () => randomNormal(key, x.shape)));
}
