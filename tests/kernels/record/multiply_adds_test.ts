import assert from "node:assert/strict";
import {
  attend,
  conv2d,
  convTranspose2d,
  countMultiplyAdds,
  matmul,
  tensor,
  zeros,
} from "../../../kernels/mod.ts";
import { createModel } from "../../../models/mod.ts";
import { testOnDevices } from "../../testing.ts";

testOnDevices("countMultiplyAdds() counts the products of a step, padding included", () => {
  const count = (step: () => unknown) => countMultiplyAdds(step);
  assert.equal(count(() => matmul(zeros([7, 2, 3]), zeros([3, 5]))), 7 * 2 * 3 * 5);
  const image = () => zeros([2, 3, 8, 6]);
  assert.equal(
    count(() => conv2d(image(), zeros([4, 3, 3, 3]), zeros([4]), { padding: 1 })),
    2 * 4 * 8 * 6 * 3 * 9,
  );
  assert.equal(
    count(() => convTranspose2d(image(), zeros([3, 4, 2, 2]), zeros([4]))),
    2 * 4 * 16 * 12 * 3,
  );
  const points = () => zeros([2, 5, 9]);
  assert.equal(count(() => attend(points(), points(), points(), { scale: 1 })), 2 * 2 * 5 * 9 * 9);
});

testOnDevices("countMultiplyAdds() of a network grows with its images", () => {
  const model = createModel({ type: "UNet_FM", filters: [4, 8], tEmb: 8 }, 1);
  const of = (n: number) =>
    countMultiplyAdds(() => model.velocity(zeros([n, 1, 28, 28]), tensor(new Float32Array(n))));
  // First convolution, second, upwards, with skip, last, and the linear layers of time.
  const pixels = 28 * 28;
  const expected = pixels * 4 * 9 + pixels / 4 * 8 * 4 * 9 + pixels * 4 * 8 + pixels * 4 * 8 * 9 +
    pixels * 4 * 9 +
    (8 + 8 * 8) + 8 * (4 + 8 + 4);
  assert.equal(of(1), expected);
  assert.equal(of(3), 3 * expected);
});
