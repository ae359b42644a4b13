/** State that threads of the CPU device share, state that they do not, and products with the same bits on any. */

import assert from "node:assert/strict";
import { CpuDevice } from "../../../../kernels/devices/cpu/cpu_device.ts";
import {
  add,
  conv2d,
  full,
  gelu,
  gradients,
  matmul,
  multiply,
  randomNormal,
  record,
  sum,
  type Tensor,
  tensor,
  withDevice,
} from "../../../../kernels/mod.ts";
import { batchSource, createModel, noise, Trainer } from "../../../../models/mod.ts";
import { assertSameNumbers } from "../../../same_numbers.ts";
import { fusesMultiplyAdd } from "../../../../kernels/devices/cpu/thread_team.ts";
import { assertClose } from "../../../testing.ts";

/** Defines a test that starts workers, which end a moment after close(). */
const testThreads = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name, fn, sanitizeOps: false, sanitizeResources: false });

/** Counts the workers that start until its end. */
class StartedWorkers {
  readonly #Worker = globalThis.Worker;
  count = 0;

  constructor() {
    const counted = () => this.count++;
    globalThis.Worker = class extends this.#Worker {
      constructor(...given: ConstructorParameters<typeof Worker>) {
        super(...given);
        counted();
      }
    };
  }

  [Symbol.dispose](): void {
    globalThis.Worker = this.#Worker;
  }
}

/** A key of random numbers for a stream. */
const key = (stream: number) => tensor(Uint32Array.of(46020, stream, 0));

/** Losses and state after some steps large enough for worker threads. */
const train = (device: CpuDevice, steps: number) =>
  withDevice(device, async () => {
    const model = createModel({ type: "UNet_FM_Residuals", filters: [8, 16], tEmb: 8 }, 1);
    const options = { batchSize: 16, seed: 1, learningRate: 1e-3, clip: 1, ema: 0.9 };
    const trainer = new Trainer(model, batchSource(noise(1, [16, 1, 20, 20])), options),
      losses: number[] = [];
    for (let i = 0; i < steps; i++) {
      trainer.queueStep(Uint32Array.from({ length: 16 }, (_, n) => n), 1e-3);
      losses.push(...await trainer.losses());
      await new Promise((resolve) => setTimeout(resolve, i < 4 ? 50 : 0)); // workers start during the first steps
    }
    return { losses, state: await trainer.state() };
  });

testThreads("CpuDevice computes the same bits with 1, 2 and 8 threads", async () => {
  const results = [];
  for (const threads of [1, 2, 8]) {
    const device = await CpuDevice.open({ threads });
    results.push(await train(device, 8));
    device.close();
  }
  for (const other of results.slice(1)) assertSameNumbers(other, results[0]);
  assert.ok(results[0].losses[7] < results[0].losses[0]);
});

testThreads(
  "CpuDevice runs large ops on all threads and small ones on one, with the same results",
  async () => {
    const results: Float32Array[][] = [];
    const started: number[] = [];
    for (const threads of [1, 2, 5]) {
      using workers = new StartedWorkers();
      const device = await CpuDevice.open({ threads });
      results.push(
        await withDevice(device, async () => {
          const w = randomNormal(key(1), [8, 8, 3, 3]), bias = full([8], 0);
          const convolve = (x: Tensor) => conv2d(x, w, bias, { padding: 1 });
          const small = randomNormal(key(2), [1, 8, 9, 9]), large = randomNormal(key(3), [8, 8, 28, 28]);
          const alone = record(() => convolve(convolve(small)));
          for (let i = 0; i < 20; i++) alone.run();
          assert.equal(workers.count, 0, "no op is large enough for a second thread");
          const mixed = record(() => {
            const a = convolve(small), b = convolve(convolve(a));
            const c = gelu(convolve(large)), d = sum(multiply(c, convolve(c)));
            return [add(b, d), add(convolve(convolve(b)), d), gelu(c), convolve(small)];
          });
          for (let i = 0; i < 100; i++) mixed.run();
          // Now that workers exist, mix programs of small ops with others.
          for (let i = 0; i < 100; i++) {
            mixed.run();
            alone.run();
          }
          return await Promise.all([alone.result, ...mixed.result].map((y) => y.read()));
        }),
      );
      device.close();
      started.push(workers.count);
    }
    assert.deepEqual(started, [0, 1, 4]);
    assert.deepEqual(results[1], results[0]);
    assert.deepEqual(results[2], results[0]);
  },
);

testThreads("CpuDevice's threads can access memory that has just grown", async () => {
  const device = await CpuDevice.open({ threads: 3 });
  await withDevice(device, async () => {
    const w = full([16, 16, 3, 3], 0.1), bias = full([16], 0);
    const kept: unknown[] = []; // prevents reuse
    for (let i = 0; i < 150; i++) {
      const x = full([4, 16, 28, 28], 1);
      const step = record(() => conv2d(x, w, bias, { padding: 1 }));
      kept.push(x, step);
      for (let k = 0; k <= i % 3; k++) step.run();
      if (i % 10 === 0) await new Promise((resolve) => setTimeout(resolve, i % 4)); // workers spin, or sleep
    }
    assert.ok(device.allocatedBytes > 50e6 && kept.length === 300);
  });
  device.close();
});

testThreads("CpuDevice's threads outlive steps of half a second", async () => {
  using workers = new StartedWorkers();
  const device = await CpuDevice.open({ threads: 2 });
  await withDevice(device, async () => {
    const x = full([512, 512], 0);
    const step = record(() => Array.from({ length: 150 }).reduce((y: Tensor) => matmul(x, y), x));
    for (let i = 0; i < 4; i++) {
      step.run();
      await new Promise((resolve) => setTimeout(resolve, 20)); // the team's timer runs
    }
  });
  device.close();
  assert.equal(workers.count, 1);
});

testThreads("CpuDevice.rest() is safe between any two steps", async () => {
  const device = await CpuDevice.open({ threads: 3 });
  await withDevice(device, async () => {
    const x = full([4, 16, 28, 28], 1), w = full([16, 16, 3, 3], 0.1), bias = full([16], 0);
    const step = record(() => conv2d(x, w, bias, { padding: 1 }));
    for (let i = 0; i < 150; i++) {
      step.run();
      if (i % 3 === 0) device.rest();
      if (i % 7 === 0) await new Promise((resolve) => setTimeout(resolve, i % 5 * 8));
    }
    const values = await step.result.read();
    assert.equal(values[29].toFixed(3), "14.400");
  });
  device.close();
});

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
  { N: 1, C: 3, K: 6, side: 96, R: 7, groups: 3 }, // the second thread begins with a second result of a plane
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

Deno.test("other code is as fast after wide products as before them", async () => {
  const device = await CpuDevice.open({ wide: true, threads: 1 });
  let [before, after, sum] = [Infinity, Infinity, 0];
  const time = () => {
    const start = performance.now();
    for (let i = 0; i < 20_000; i++) sum += Math.exp(i / 20_000);
    return performance.now() - start;
  };
  await withDevice(device, async () => {
    const x = full([256, 256], 1), step = record(() => matmul(x, x));
    for (let i = 0; i < 300; i++) step.run(); // until the engine has optimised the blocks
    for (let turn = 0; turn < 50; turn++) {
      btoa("0".repeat(1000)); // clears the upper halves of registers
      before = Math.min(before, time());
      step.run();
      await device.finished();
      after = Math.min(after, time());
    }
  });
  device.close();
  assert(after < 3 * before, `${after} ms after, ${before} before; ${sum}`);
});
