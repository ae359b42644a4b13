import assert from "node:assert/strict";
import { concat, gradients, max, mean, permute, sum, tensor, zeros } from "../../../kernels/mod.ts";
import { testOnDevices } from "../../testing.ts";

testOnDevices("functions of a list refuse a single axis or tensor in words", () => {
  const x = zeros([2, 3]), [axis, one] = [1 as unknown as number[], x as unknown as typeof x[]];
  const refused: [() => unknown, string][] = [
    [() => sum(x, axis), "Cannot run sum: axes are 1 (expected a list of axes, such as [0, 1])"],
    [() => mean(x, axis), "Cannot run sum: axes are 1 (expected a list of axes, such as [0, 1])"],
    [() => max(x, axis), "Cannot run max: axes are 1 (expected a list of axes, such as [0, 1])"],
    [() => permute(x, axis), "Cannot run permute: order is 1 (expected a list of axes, such as [1, 0])"],
    [() => concat(one, 0), "Cannot run concat: tensors are f32[2, 3] (expected a list of tensors)"],
    [
      () => gradients(sum(tensor([1])), one),
      "Cannot take gradients: parameters are f32[2, 3] (expected a list of tensors)",
    ],
  ];
  for (const [call, message] of refused) assert.throws(call, { name: "TypeError", message });
});
