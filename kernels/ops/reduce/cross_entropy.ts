import type { Tensor } from "../../core/tensor.ts";
import { defineOp, type Op } from "../../op.ts";
import { multiply } from "../elementwise/binary.ts";
import { full } from "../layout/fill.ts";
import { reshape } from "../layout/movement.ts";
import { expSum, expSumWgsl } from "./exp_sum.ts";
import { mean, sum } from "./reduce.ts";
import { softmax, softmaxGradient } from "./softmax.ts";

const labels = Uint32Array.of(2, 0, 4);

const crossEntropyRows = defineOp({
  name: "crossEntropy",
  signature: "logits[N, C], labels:u32[N] -> y[N]",
  wgsl: `${expSumWgsl("logits")}
fn kernel(n: u32) {
  let base = n * dims.C;
  let label = labels[n];
  let top = topOf(base);
  if (label < dims.C) { y[n] = log(sumOfExp(base, top)) - (logits[base + label] - top); }
  else { y[n] = bitcast<f32>(label | 0x7fc00000u); } // NaN
}`,
  backward: ({ logits, labels, dy }) => ({ logits: () => crossEntropyGradient(logits, labels, dy) }),
  reference({ logits, labels, y }, { N, C }) {
    for (let n = 0; n < N; n++) {
      const row = logits.subarray(n * C, (n + 1) * C);
      const { top, total } = expSum(row);
      y[n] = labels[n] < C ? Math.log(total) - (row[labels[n]] - top) : NaN;
    }
  },
  wasm: "crossEntropy",
  samples: [
    { shapes: { logits: [3, 5], labels: [3] }, values: { labels } },
    { shapes: { logits: [1, 1], labels: [1] }, values: { labels: Uint32Array.of(0) } },
    { shapes: { logits: [3, 9], labels: [3] }, values: { labels } },
    {
      shapes: { logits: [2, 3], labels: [2] },
      values: { logits: [1000, 999, -1000, -1000, -1001, -999], labels: Uint32Array.of(1, 0) },
    },
  ],
});

/** dlogits = (softmax(logits) - one-hot label) dy, a row at a time. */
const crossEntropyGradient: Op<"logits[N, C], labels:u32[N], dy[N] -> dlogits[N, C]"> = defineOp({
  name: "crossEntropyGradient",
  signature: "logits[N, C], labels:u32[N], dy[N] -> dlogits[N, C]",
  invocations: ({ N }) => N,
  wgsl: `${expSumWgsl("logits")}
fn kernel(n: u32) {
  let base = n * dims.C;
  let label = labels[n];
  let top = topOf(base);
  let total = sumOfExp(base, top);
  for (var c = 0u; c < dims.C; c++) {
    let share = exp(logits[base + c] - top) / total - select(0.0, 1.0, c == label);
    dlogits[base + c] = select(bitcast<f32>(label | 0x7fc00000u), share * dy[n], label < dims.C);
  }
}`,
  backward: ({ logits, labels, dy, ddlogits }) => ({
    logits: () => multiply(softmaxGradient(softmax(logits), ddlogits), reshape(dy, [dy.size, 1])),
    dy() {
      const slopes = crossEntropyGradient(logits, labels, full(dy.shape, 1));
      return sum(multiply(ddlogits, slopes), [1]);
    },
  }),
  reference({ logits, labels, dy, dlogits }, { N, C }) {
    for (let n = 0; n < N; n++) {
      const row = logits.subarray(n * C, (n + 1) * C);
      const { top, total } = expSum(row);
      row.forEach((x, c) => {
        const share = Math.exp(x - top) / total - (c === labels[n] ? 1 : 0);
        dlogits[n * C + c] = labels[n] < C ? share * dy[n] : NaN;
      });
    }
  },
  wasm: "crossEntropyGradient",
  samples: [
    { shapes: { logits: [3, 5], labels: [3], dy: [3] }, values: { labels } },
    { shapes: { logits: [1, 1], labels: [1], dy: [1] }, values: { labels: Uint32Array.of(0) } },
  ],
});

/**
 * Cross entropy of class labels, the mean over n of -log(softmax(logits)[n, labels[n]]), without overflow.
 *
 * @param logits f32[N, C]
 * @param labels u32[N], each below C: labels live on the device, where no op can fail for its values, so a label of C
 * or more makes the loss, and the gradient of its row, NaN
 * @returns f32[]; NaN if there are no rows
 * @throws {ShapeError} if the shapes do not fit, or C is 0
 * @throws {TypeError} if labels are not u32
 */
export function crossEntropy(logits: Tensor, labels: Tensor): Tensor {
  return mean(crossEntropyRows(logits, labels));
}
