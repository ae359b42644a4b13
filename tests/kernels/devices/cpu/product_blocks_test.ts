import assert from "node:assert/strict";
import { CpuDevice } from "../../../../kernels/devices/cpu/cpu_device.ts";
import { fusesMultiplyAdd } from "../../../../kernels/devices/cpu/thread_team.ts";
import {
  conv2d,
  gradients,
  matmul,
  multiply,
  randomNormal,
  sum,
  type Tensor,
  tensor,
  withDevice,
} from "../../../../kernels/mod.ts";
import { assertClose } from "../../../testing.ts";
import { assertSameNumbers } from "../../../same_numbers.ts";

/** M, N and K around those of tiles (4 and 6 rows, 8 and 16 columns) and of parts of a panel (powers of two to 64). */
const sizes = [
  ...[[1, 1, 1], [2, 7, 3], [3, 8, 64], [4, 9, 65], [5, 15, 127], [6, 16, 128], [7, 17, 13], [8, 24, 192]],
  ...[[9, 33, 31], [10, 31, 200], [22, 40, 96], [193, 129, 130]],
];
/** Convolutions of C channels to K: by Winograd, by 1x1 kernels, by other kernels, and depthwise ones. */
const convolutions: {
  N: number;
  C: number;
  K: number;
  side: number;
  R: number;
  stride?: number;
  groups?: number;
}[] = [
  { N: 3, C: 5, K: 7, side: 9, R: 3 },
  { N: 9, C: 20, K: 33, side: 14, R: 3 },
  { N: 2, C: 19, K: 5, side: 6, R: 1 },
  { N: 3, C: 7, K: 11, side: 13, R: 5 },
  { N: 2, C: 9, K: 4, side: 12, R: 3, stride: 2 },
  ...[7, 5, 3].map((R) => ({ N: 2, C: 3, K: 3, side: 28 - R, R, groups: 3 })),
];

const random = (seed: number, shape: readonly number[]) =>
  randomNormal(tensor(Uint32Array.of(seed, 7, 1)), shape);

/** The result of a function of two tensors, and both gradients: all ways in which matrices can lie. */
function results(f: (a: Tensor, b: Tensor) => Tensor, a: Tensor, b: Tensor): Promise<Float32Array>[] {
  const y = f(a, b);
  return [y, ...gradients(sum(multiply(y, random(3, y.shape))), [a, b])].map((each) => each.read());
}

function products(device: CpuDevice): Promise<Float32Array[]> {
  return withDevice(device, () =>
    Promise.all([
      ...sizes.flatMap(([M, N, K]) => results(matmul, random(1, [M, K]), random(2, [K, N]))),
      ...convolutions.flatMap(({ N, C, K, side, R, stride = 1, groups = 1 }) =>
        results(
          (x, w) => conv2d(x, w, undefined, { padding: (R - 1) / 2, stride, groups }),
          random(1, [N, C, side, side]),
          random(2, [K, C / groups, R, R]),
        )
      ),
    ]));
}

Deno.test("products have the same bits with wide and narrow blocks, on one thread and on two", async () => {
  const results: Float32Array[][] = [];
  for (const fused of [true, false]) {
    for (const { wide, threads } of [{ wide: true, threads: 1 }, { wide: false, threads: 2 }]) {
      const device = await CpuDevice.open({ fused, wide, threads });
      assert.equal(await device.hasWideVectors(), wide);
      results.push(await products(device));
      device.close();
    }
  }
  const [wide, narrow, ...plain] = results;
  assertSameNumbers(narrow, wide);
  assertSameNumbers(plain[1], plain[0]);
  wide.forEach((values, i) => assertClose(values, plain[0][i], 1e-5, `product ${i}`));
  const matrices = wide.slice(0, 3 * sizes.length); // made by blocks alone
  const differ = matrices.some((values, i) => values.some((value, at) => value !== plain[0][i][at]));
  assert.equal(differ, fusesMultiplyAdd(), "multiply and add are rounded apart if they are not fused");
});
