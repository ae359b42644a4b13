import assert from "node:assert/strict";
import { conv2d, full, gradients, record, square, sum, tensor, uniforms } from "../../../kernels/mod.ts";
import { type RegisteredOp, registry } from "../../../kernels/op.ts";
import {
  bothSides,
  sourceMatrix,
  targetMatrix,
  weightMatrix,
} from "../../../kernels/ops/conv2d/winograd/transforms.ts";
import { assertClose } from "../../testing.ts";
import { testByTransforms } from "../../winograd_devices.ts";

const drawn = (stream: number, shape: readonly number[]) =>
  tensor(
    Float32Array.from(uniforms(5, stream, 0, shape.reduce((a, b) => a * b)), (u) => 2 * u - 1),
    shape,
  );

Deno.test("Winograd's matrices make a 4x4 correlation of a 6x6 tile", () => {
  const d = Array.from({ length: 36 }, (_, i) => Math.sin(3 * i)), g = [2, -1, 0.5, 3, 1, -2, 0.25, 4, -3];
  const v = bothSides(sourceMatrix, (i, j) => d[6 * i + j]);
  const u = bothSides(weightMatrix, (i, j) => g[3 * i + j]);
  const y = bothSides(targetMatrix, (i, j) => u[6 * i + j] * v[6 * i + j]);
  const direct = y.map((_, at) =>
    g.reduce((sum, w, tap) => sum + w * d[6 * ((at >> 2) + Math.floor(tap / 3)) + at % 4 + tap % 3], 0)
  );
  assertClose(y, direct, 1e-13);
});

/** The passes of conv2d() from C to K channels of so many taps on 64 images, without having chosen any. */
function passesOf(C: number, K: number, taps: number, size: number, software: boolean) {
  const { kernel, plan }: RegisteredOp = registry.get("conv2d")!;
  const { dims } = plan([[64, C, size, size], [K, C, taps, taps], [1, K]], { padding: (taps - 1) / 2 });
  return kernel.passes!(dims, { workgroupSize: 64, software, pieces: 512 });
}

Deno.test("conv2d() goes by transforms where there are 3x3 taps and many channels", () => {
  for (const software of [true, false]) {
    assert.equal(passesOf(32, 32, 3, 28, software)?.length, 5);
    assert.equal(passesOf(1, 32, 3, 28, software), undefined);
    assert.equal(passesOf(64, 64, 1, 28, software), undefined);
    assert.equal(passesOf(64, 64, 5, 28, software), undefined);
  }
});

/** y, dx and dw of a convolution from C to K channels. */
function step(C: number, K: number, size: number) {
  const x = drawn(1, [3, C, size, size]), w = drawn(2, [K, C, 3, 3]), bias = drawn(3, [K]);
  return () => {
    const y = conv2d(x, w, bias, { padding: 1 });
    return [y, ...gradients(sum(square(y)), [x, w])];
  };
}

testByTransforms(
  "a recorded step moves on when scratch memory grows, and gives the same bits",
  async () => {
    const recorded = record(step(5, 6, 9));
    recorded.run();
    const before = await Promise.all(recorded.result.map((y) => y.read()));
    for (const y of step(16, 17, 30)()) await y.read();
    const others = [36 * 5 * 27, 36 * 6 * 27].map((size) => full([size], 7)); // where its scratch memory was
    recorded.run();
    const after = await Promise.all(recorded.result.map((y) => y.read()));
    assert.deepEqual(after, before);
    for (const other of others) assertClose(await other.read(), new Float32Array(other.size).fill(7), 0);
  },
);

testByTransforms("a step that keeps values in f16 does not keep transformed tiles in it", async (device) => {
  if (!device.halfStorage) return;
  const x = drawn(1, [2, 24, 20, 20]), w = drawn(2, [24, 24, 3, 3]), bias = drawn(3, [24]);
  const convolve = () => conv2d(conv2d(x, w, bias, { padding: 1 }), w, bias, { padding: 1 });
  const [whole, half] = [record(convolve), record(convolve, { precision: "f16" })];
  assert.ok(half.plan.bytes < whole.plan.bytes);
  whole.run();
  half.run();
  assertClose(await half.result.read(), await whole.result.read(), 1e-3);
});
