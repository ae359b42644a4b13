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
  type Tensor,
  tensor,
} from "../../kernels/mod.ts";
import { registry } from "../../kernels/op.ts";
import { plainGeometry } from "../../kernels/ops/conv2d/geometry.ts";
import { measure, type Measurement } from "./timing.ts";

/** Images in a batch. */
const N = 64;
/** Input channels, output channels and image size of the convolutions in a [16, 32, 64] network. */
const convolutions = [[1, 16, 28], [16, 16, 28], [32, 16, 28], [32, 32, 14], [64, 64, 7]];

/** Times the ops that take most of the U-Nets' training step. */
export async function benchOps(device: Device, report: (found: Measurement) => void): Promise<void> {
  let counter = 0;
  const random = (...shape: number[]) => randomNormal(tensor(Uint32Array.of(1, 9, counter++)), shape);
  const op = (name: string, inputs: Tensor[], attributes: Record<string, number>) => () =>
    registry.get(name)!.run(inputs, attributes);
  const time = async (name: string, amount: number, unit: Measurement["unit"], run: () => unknown) =>
    report(await measure(device, name, amount, unit, run));

  for (const [C, K, H] of convolutions) {
    const x = random(N, C, H, H), w = random(K, C, 3, 3), bias = random(K), dy = random(N, K, H, H);
    const flop = 2 * N * C * K * 9 * H * H, at = `${C}->${K} ${H}x${H}`;
    const sizes = { ...plainGeometry(1), R: 3, S: 3, run: Math.ceil(N / 8) };
    const toInput = { ...plainGeometry(1), transposed: 1, P: H, Q: H };
    const ofInput = op("conv2dInputGradient", [dy, w], toInput);
    await time(`conv2d 3x3 ${at}`, flop, "GFLOP/s", () => conv2d(x, w, bias, { padding: 1 }));
    await time(`conv2d input gradient ${at}`, flop, "GFLOP/s", ofInput);
    await time(`conv2d weight gradient ${at}`, flop, "GFLOP/s", op("conv2dWeightGradient", [x, dy], sizes));
  }

  const a = random(512, 512), b = random(512, 512);
  await time("matmul 512", 2 * 512 ** 3, "GFLOP/s", () => matmul(a, b));
  const low = random(N, 32, 14, 14), up = random(32, 16, 2, 2), bias = random(16);
  const flop = 2 * N * 32 * 16 * 4 * 14 * 14;
  await time("convTranspose2d 32->16 14x14", flop, "GFLOP/s", () => convTranspose2d(low, up, bias));
  const x = random(N, 16, 28, 28), gamma = random(16), beta = random(16), bytes = 2 * x.size * 4;
  await time("gelu", bytes, "GB/s", () => gelu(x));
  await time("groupNorm", bytes, "GB/s", () => groupNorm(x, gamma, beta, { groups: 8 }));
  const [q, k, v] = [0, 1, 2].map(() => random(N, 64, 49));
  await time("attend 64 channels 7x7", 2 * 2 * N * 64 * 49 ** 2, "GFLOP/s", () => attend(q, k, v));
  const rows = random(N * 49, 49);
  await time("softmax", 2 * rows.size * 4, "GB/s", () => softmax(rows));
  const key = tensor(Uint32Array.of(1, 2, 3));
  await time("randomNormal", x.size * 4, "GB/s", () => randomNormal(key, x.shape));
}
