/** Fits a line to points by gradient descent, with the autograd core alone. */
import {
  add,
  assign,
  gradients,
  init,
  meanSquaredError,
  multiply,
  scope,
  subtract,
  tensor,
} from "../kernels/mod.ts";

await init();
const x = tensor([0, 1, 2, 3]);
const y = tensor([1.1, 2.9, 5.2, 6.8]);
const line = [tensor([0]), tensor([0])];
for (let i = 0; i < 400; i++) {
  scope(() => {
    const [a, b] = line;
    const loss = meanSquaredError(add(multiply(a, x), b), y);
    gradients(loss, line).forEach((slope, k) => assign(line[k], subtract(line[k], multiply(slope, 0.1))));
  });
}
const [[a], [b]] = await Promise.all(line.map((parameter) => parameter.read()));
console.log(`y = ${a.toFixed(3)} x + ${b.toFixed(3)}`);
