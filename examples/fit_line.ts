/** Fits a line to points by gradient descent, using only the autograd core. */
import { add, assign, gradients, init, meanSquaredError, multiply, scope, tensor } from "../kernels/mod.ts";

await init();
const [x, y] = [tensor([0, 1, 2, 3]), tensor([1.1, 2.9, 5.2, 6.8])];
const [a, b] = [tensor([0]), tensor([0])];
for (let i = 0; i < 400; i++) {
  scope(() => {
    const [da, db] = gradients(meanSquaredError(add(multiply(a, x), b), y), [a, b]);
    assign(a, add(a, multiply(da, -0.1)));
    assign(b, add(b, multiply(db, -0.1)));
  });
}
console.log(`y = ${(await a.read())[0].toFixed(3)} x + ${(await b.read())[0].toFixed(3)}`);
