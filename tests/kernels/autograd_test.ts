/** Tests of reverse and forward differentiation of whole functions; the registry test checks each op. */

import assert from "node:assert/strict";
import * as k from "../../kernels/mod.ts";
import { assertSameNumbers } from "../same_numbers.ts";
import { assertClose, testOnAllKernels, testOnCpu, testOnDevices } from "../testing.ts";
import { hiddenOp, randomTensor } from "./oracle.ts";

const { add, assign, concat, exp, gradients, groupNorm, jvp, linear, maxPool2d, multiply } = k;
const { record, reshape, sin, slice, square, sum, tensor, zeros } = k;
type Tensor = k.Tensor;

testOnCpu(
  "gradients() sums over paths, and returns one result per parameter, also for inner values",
  async () => {
    const [a, b, x] = [tensor([1, 2, 3], [3, 1]), tensor([10, 20], [2]), tensor([0.5])];
    const y = concat([multiply(a, b), k.subtract(a, b)], 0); // [6, 2]
    const [da, db] = gradients(sum(slice(y, 0, 1, 4)), [a, b]);
    assert.deepEqual([da.shape, db.shape], [[3, 1], [2]]);
    assertClose(await da.read(), [2, 32, 30], 1e-6);
    assertClose(await db.read(), [5 - 2, 5 - 2], 1e-6);
    const inner = exp(x), z = multiply(inner, inner);
    const expected = [1, 2 * Math.exp(0.5), 2 * Math.exp(1)];
    for (const [i, slope] of gradients(sum(z), [z, inner, x]).entries()) {
      assertClose(await slope.read(), [expected[i]], 1e-5);
    }
  },
);

testOnCpu(
  "gradients() of a chain of 5,000 ops does not overflow the stack, and nests three times",
  async () => {
    const x = tensor([2]);
    let chain = x, y = multiply(square(x), square(x)); // x^4
    for (let i = 0; i < 5000; i++) chain = add(chain, 1);
    assertClose(await gradients(reshape(chain, []), [x])[0].read(), [1], 0);
    for (let n = 0; n < 3; n++) [y] = gradients(sum(y), [x]);
    assertClose(await y.read(), [24 * 2], 1e-6);
  },
);

/** The halves of an even number of values, with a rule for the input `x` only. */
const halves = hiddenOp({
  name: "halvesForTest",
  signature: "x[n], scale[1] -> first[h], second[h]",
  derive: ({ n }) => ({ h: n / 2 }),
  wgsl: "fn kernel(i: u32) { first[i] = scale[0] * x[i]; second[i] = x[i + dims.h]; }",
  backward: ({ x, scale, dfirst }) => ({
    x: () => multiply(add(multiply(x, 0), sum(multiply(dfirst, scale))), 0.5),
  }),
  reference({ x, scale, first, second }, { h }) {
    for (let i = 0; i < h; i++) first[i] = scale[0] * x[i], second[i] = x[i + h];
  },
  samples: [],
});

testOnCpu("gradients() through an input or output without a rule throws", async () => {
  const [x, scale, w] = [tensor([1, 2]), tensor([3]), tensor([2])];
  const [first, second] = halves(x, scale);
  gradients(sum(first), [x]);
  assert.throws(() => gradients(sum(first), [scale]), {
    name: "Error",
    message:
      "Cannot take gradients through halvesForTest: no rule leads from its output first to its input scale f32[1]; " +
      "declare one in the op's backward, or detach() the input where gradients should end",
  });
  assert.throws(() => gradients(sum(add(first, second)), [x]), /output second to its input x f32\[2\]/);
  assertClose(await gradients(sum(multiply(w, second)), [w])[0].read(), [2], 0);
});

/** An op y = x whose rule returns a given value. */
const identityWith = (dx: unknown) =>
  hiddenOp({
    name: "gradientForTest",
    signature: "x[n] -> y[n]",
    wgsl: "fn kernel(i: u32) { y[i] = x[i]; }",
    backward: () => ({ x: () => dx as Tensor }),
    reference: ({ x, y }) => y.set(x),
    samples: [],
  });

testOnCpu("gradients() refuses a rule's result that is not a tensor of the input's shape", () => {
  const x = tensor([1, 2]);
  const refused = {
    f32: /^ShapeError: .* of its input x returned f32\[1\]/,
    none: /^TypeError: .*undefined/,
  };
  for (const [dx, why] of [[zeros([1]), refused.f32], [undefined, refused.none]] as const) {
    assert.throws(() => gradients(sum(add(identityWith(dx)(x), 1)), [x]), why);
  }
});

testOnCpu("gradients() of an op whose rules return the same tensor stay apart", async () => {
  const plus = hiddenOp({
    name: "sumForTest",
    signature: "a[n, m], b[n, m] -> y[n, m]",
    wgsl: "fn kernel(i: u32) { y[i] = a[i] + b[i]; }",
    backward: ({ dy }) => ({ a: () => dy, b: () => dy }),
    reference: ({ a, b, y }) => y.forEach((_, i) => y[i] = a[i] + b[i]),
    samples: [],
  });
  const [a, b] = [tensor([1, 2], [1, 2]), tensor([3, 4], [1, 2])], w = tensor([5, 6, 7, 8], [2, 2]);
  const [da, db] = gradients(add(sum(linear(a, w, zeros([2]))), sum(plus(a, b))), [a, b]); // linear() adds to da
  assert.deepEqual([[...await da.read()], [...await db.read()]], [[13, 15], [1, 1]]);
  const [twice] = gradients(sum(multiply(plus(a, a), b)), [a]);
  assert.deepEqual([...await twice.read()], [6, 8]);
});

const wave = (length: number) => Float32Array.from({ length }, (_, i) => Math.sin(i * i));

/** Ops whose rules add to the gradient so far, which other ops made. */
const adding: Readonly<Record<string, (x: Tensor) => Tensor>> = {
  "groupNorm()": (x) => groupNorm(x, tensor([1, 2, 3, 4]), tensor([0, 1, 0, 1]), { groups: 2 }),
  "maxPool2d()": maxPool2d,
  "maxPool2d() to no pixels": (x) => maxPool2d(slice(x, 2, 0, 1)),
  "linear()": (x) => linear(reshape(x, [8, 9]), tensor(wave(27), [3, 9]), zeros([3])),
  "linear() of a matrix": (x) => linear(x, tensor(wave(27), [3, 9]), zeros([3])),
};

testOnAllKernels("gradients() adds the gradients of ops that add to those of another path", async () => {
  for (const [name, op] of Object.entries(adding)) {
    const x = tensor(wave(72), name.endsWith("matrix") ? [8, 9] : [2, 4, 3, 3]);
    const losses = [(y: Tensor) => sum(square(op(y))), (y: Tensor) => sum(exp(y))];
    const [one, other] = await Promise.all(losses.map((loss) => gradients(loss(x), [x])[0].read()));
    const [both] = gradients(add(losses[0](x), losses[1](x)), [x]);
    assertClose(await both.read(), one.map((value, i) => value + other[i]), 1e-6, name);
    const again = (dx: Tensor) => gradients(sum(square(dx)), [x])[0].read();
    const summed = add(...losses.map((loss) => gradients(loss(x), [x])[0]) as [Tensor, Tensor]);
    assertClose(await again(both), await again(summed), 1e-5, `second derivative of ${name}`);
  }
});

const overwritten = (op: string, by: string, what: string) => ({
  name: "Error",
  message: `Cannot take gradients through ${op}: ${by} has overwritten ${what}, which its gradient needs; ` +
    "take gradients before, or overwrite a copy",
});

testOnCpu("gradients() refuses an overwritten value that a rule needs, and names what wrote it", () => {
  const ways: [string, (x: Tensor) => void][] = [
    ["assign", (x) => assign(x, tensor([7, 8]))],
    ["putAt", (x) => k.putAt(x, tensor([7]), tensor(Uint32Array.of(1)))],
    ["emaUpdate", (x) => k.emaUpdate(x, tensor([7, 8]), tensor([0.5]))],
    ["write()", (x) => x.write(Float32Array.of(7, 8))],
    ["assign", (x) => assign(reshape(x, [1, 2]), tensor([7, 8], [1, 2]))],
    ["a recorded step", (x) => record(() => assign(x, add(x, 1))).run()],
  ];
  for (const [by, overwrite] of ways) {
    const x = tensor([1, 2]), y = sum(square(x));
    overwrite(x);
    assert.throws(() => gradients(y, [x]), overwritten("square", by, "x f32[2]"), by);
  }
  const [a, b] = [tensor([1, 2]), tensor([3, 4])], quotient = k.divide(a, b), loss = sum(quotient);
  quotient.write(Float32Array.of(0, 0));
  assert.throws(() => gradients(loss, [b]), overwritten("divide", "write()", "y f32[2]"));
  assert.doesNotThrow(() => gradients(loss, [a]), "its rule does not need the value");
  const y = square(a);
  assign(y, tensor([5, 5]));
  const before = /through square: assign has overwritten its output y f32\[2\] before it was used/;
  assert.throws(() => gradients(sum(y), [a]), before);
});

testOnCpu(
  "gradients() accepts overwritten values that no rule needs, and tells views of one memory apart",
  async () => {
    const x = tensor([1, 2]), w = tensor([3, 4]);
    x.write(Float32Array.of(5, 6));
    const [dw] = gradients(sum(multiply(x, w)), [w]);
    assign(w, add(w, dw)); // an update, after the gradients were taken
    assertClose(await dw.read(), [5, 6], 0);
    const total = sum(add(x, w));
    x.write(Float32Array.of(0, 0)); // the gradient of a sum needs only the shape
    assertClose(await gradients(total, [x])[0].read(), [1, 1], 0);
    assertClose(await gradients(sum(multiply(x, w)), [w])[0].read(), [0, 0], 0);

    const flat = tensor(new Float32Array(128).fill(2));
    const [a, b] = [0, 64].map((offset) => new k.Tensor(flat.storage, [64], "f32", offset));
    for (const [used, other] of [[a, b], [b, a]]) {
      const loss = sum(multiply(used, used));
      other.write(new Float32Array(64).fill(9));
      assertClose((await gradients(loss, [used])[0].read()).slice(0, 2), used === a ? [4, 4] : [18, 18], 0);
      flat.write(new Float32Array(128).fill(9));
      assert.throws(() => gradients(loss, [used]), overwritten("multiply", "write()", "a f32[64]"));
    }
  },
);

/** Runs a function while x points to the memory of another tensor, as `withParameters()` does. */
function inPlaceOf<T>(other: Tensor, x: Tensor, run: () => T): T {
  const own = new k.Tensor(x.storage, x.shape, x.type, x.offset);
  x.pointTo(other);
  try {
    return run();
  } finally {
    x.pointTo(own);
  }
}

testOnCpu("gradients() refuses an input that has moved to other memory since the op ran", async () => {
  const x = tensor([3, 4]), w = tensor([1, 2]), other = tensor([10, 20]);
  const [loss, [dx]] = inPlaceOf(other, w, () => {
    const loss = sum(multiply(x, w));
    return [loss, gradients(loss, [x])];
  });
  assertClose(await dx.read(), [10, 20], 0);
  const message =
    "Cannot take gradients through multiply: b f32[2] has moved to other memory since the op ran, and its gradient " +
    "needs the old values; take gradients before a parameter moves, for example inside withParameters()";
  assert.throws(() => gradients(loss, [x]), { name: "Error", message });
  assert.throws(() => record(() => gradients(loss, [x])), { message });
  assertClose(await gradients(loss, [w])[0].read(), [3, 4], 0); // needs only x
  const total = inPlaceOf(other, w, () => sum(add(x, w))); // its gradient needs only the shape
  assertClose(await gradients(total, [w])[0].read(), [1, 1], 0);
  const kept = sum(multiply(x, w));
  inPlaceOf(other, w, () => sum(multiply(x, w)));
  assertClose(await gradients(kept, [x])[0].read(), [1, 2], 0);
});

testOnCpu("record() refuses values that its trace overwrites", async () => {
  const x = tensor([1, 2]), before = sum(square(x));
  const tooLate = () => {
    const loss = sum(square(x));
    assign(x, add(x, 1));
    return gradients(loss, [x]);
  };
  assert.throws(() => record(tooLate), overwritten("square", "assign", "x f32[2]"));
  assertClose(await gradients(before, [x])[0].read(), [2, 4], 0);
  const step = record(() => assign(x, add(x, gradients(sum(square(x)), [x])[0])));
  assertClose(await gradients(before, [x])[0].read(), [2, 4], 0);
  step.run();
  assertClose(await x.read(), [3, 6], 0);
  assert.throws(() => gradients(before, [x]), overwritten("square", "a recorded step", "x f32[2]"));
  const later = sum(square(x));
  record(() => {
    x.write(Float32Array.of(7, 8)); // not part of the step
    return add(x, 1);
  });
  assert.throws(() => gradients(later, [x]), overwritten("square", "write()", "x f32[2]"));
});

testOnCpu("jvp() sums over values and paths, and is zero for results that depend on no value", async () => {
  const [x, w, other] = [tensor([1, 2]), tensor([3]), tensor([5, 7])];
  const f = (x: Tensor, w: Tensor) => [multiply(square(x), w), add(x, x), other];
  const [values, tangents] = jvp(f, [x, w], [tensor([1, 10]), tensor([0.5])]);
  assertClose(await values[0].read(), [3, 12], 0);
  for (const [i, expected] of [[2 * 3 + 0.5, 40 * 3 + 2], [2, 20], [0, 0]].entries()) {
    assertClose(await tangents[i].read(), expected, 1e-6);
  }
});

testOnCpu(
  "jvp() adds the tangents of a tensor that is given twice, and of each part of concat()",
  async () => {
    const [x, w, one, none] = [3, 5, 1, 0].map((value) => tensor([value]));
    const given = [
      [[x, x], [one, none], 3], // d(a b) is b da + a db
      [[x, x], [none, one], 3],
      [[x, x], [one, w], 18],
      [[x, w], [one, none], 5],
    ] as const;
    for (const [values, tangents, expected] of given) {
      const [y, ty] = jvp(multiply, values, tangents);
      assertClose(await ty.read(), [expected], 0);
      const [[dx], [slope]] = [gradients(y, [x]), gradients(ty, [x])];
      assertClose(await dx.read(), [values[1] === x ? 6 : 5], 0);
      if (values[1] === x) assertClose(await slope.read(), [expected / 3], 0);
    }
    const both = [tensor([1, 2, 3, 4, 5, 6], [2, 3]), tensor([7, 8], [2, 1])];
    for (const moving of both) {
      const joined = (x: Tensor) => concat(both.map((part) => part === moving ? x : part), 1);
      const parts = both.map((part) => part === moving ? part : multiply(part, 0));
      assertClose(await jvp(joined, [moving], [moving])[1].read(), await concat(parts, 1).read(), 0);
    }
  },
);

testOnCpu("jvp() nests with itself and with gradients() to the third order", async () => {
  const along = (f: (x: Tensor) => Tensor) => (x: Tensor) => jvp(f, [x], [tensor([1])])[1];
  const down = (f: (x: Tensor) => Tensor) => (x: Tensor) => gradients(sum(f(x)), [x])[0];
  const orders = [[along, along, along], [along, down, along], [down, along, down], [along, down, down]];
  for (const [outer, middle, inner] of orders) {
    assertClose(await outer(middle(inner(sin)))(tensor([0.4])).read(), [-Math.cos(0.4)], 1e-6);
  }
});

testOnCpu("jvp() can be recorded, and each run uses the current values", async () => {
  const [x, tx] = [tensor([1]), tensor([1])];
  const step = record(() => jvp((x) => multiply(square(x), x), [x], [tx]));
  for (const value of [1, 2, 5]) {
    x.write(Float32Array.of(value));
    step.run();
    assertClose(await step.result[1].read(), [3 * value ** 2], 1e-6);
  }
});

testOnCpu("jvp() refuses tangents that do not fit, and overwritten values", () => {
  const x = tensor([1, 2]);
  assert.throws(() => jvp(sin, [x], [tensor([1])]), k.ShapeError);
  assert.throws(() => jvp(sin, [x], []), TypeError);
  assert.throws(() => jvp(() => 3 as unknown as Tensor, [x], [x]), /result 0 of the function is 3/);
  const f = (x: Tensor) => {
    const y = sin(x), z = square(y);
    y.write(Float32Array.of(0, 0));
    return z;
  };
  assert.throws(() => jvp(f, [x], [x]), /write\(\) has overwritten x/);
});

/** x^3, whose gradient is `slope` x^2. */
function cubeWith(name: string, slope: number) {
  const gradient = hiddenOp({
    name: `${name}Gradient`,
    signature: "x[S...], dy[S...] -> dx[S...]",
    wgsl: `fn kernel(i: u32) { dx[i] = ${slope.toFixed(1)} * x[i] * x[i] * dy[i]; }`,
    reference: ({ x, dy, dx }) => dx.forEach((_, i) => dx[i] = slope * x[i] ** 2 * dy[i]),
    samples: [],
  });
  return hiddenOp({
    name,
    signature: "x[S...] -> y[S...]",
    wgsl: "fn kernel(i: u32) { y[i] = x[i] * x[i] * x[i]; }",
    backward: ({ x, dy }) => ({ x: () => gradient(x, dy) }),
    reference: ({ x, y }) => y.forEach((_, i) => y[i] = x[i] ** 3),
    samples: [],
  });
}
const [right, wrong] = [cubeWith("testCube", 3), cubeWith("testWrongCube", 3.1)];

testOnDevices("checkGradients() accepts a correct gradient, and names a wrong one", async () => {
  const x = randomTensor(1, [2, 3]), before = await x.read();
  await k.checkGradients(right, [x]);
  const last = before.reduce((best, value, i) => Math.abs(value) > Math.abs(before[best]) ? i : best, 0);
  const words =
    /^Cannot confirm the gradient of testWrongCube: at element (\d) of x f32\[2, 3\] it is (\S+), but central differences give (\S+) \(expected within (\S+)\)$/;
  await assert.rejects(() => k.checkGradients(wrong, [x]), (error: Error) => {
    assert.ok(error instanceof k.GradientError);
    const found = (words.exec(error.message) ?? assert.fail(error.message)).slice(1).map(Number);
    const [element, slope, expected, allowed] = found;
    assert.ok(element <= last);
    assert.ok(Math.abs(slope / expected - 3.1 / 3) < 1e-3, `${slope} / ${expected}`);
    return Math.abs(slope - expected) > allowed;
  });
  assertSameNumbers(await x.read(), before, "the caller's tensor is unchanged");
});

testOnCpu(
  "checkGradients() accepts any function of tensors, respects the tolerance, and names the input",
  async () => {
    await k.checkGradients(k.matmul, [randomTensor(2, [3, 2]), randomTensor(3, [2, 4])]);
    // The sum of a softmax is constant: its gradient is zero up to rounding.
    await k.checkGradients((x) => sum(k.softmax(x)), [randomTensor(6, [2, 3])]);
    await k.checkGradients(wrong, [tensor([1, 2])], { tolerance: 0.05 });
    const detached = (a: Tensor, b: Tensor) => {
      const half = multiply(b, b);
      half.detach();
      return add(multiply(a, a), add(half, b));
    };
    const refused: [() => Promise<void>, RegExp][] = [
      [() => k.checkGradients(wrong, [tensor([1, 2])], { tolerance: 0.02 }), /^GradientError/],
      [() => k.checkGradients(right, [tensor([NaN])]), /it is NaN, but .* give NaN/],
      [
        () => k.checkGradients(detached, [randomTensor(7, [2]), randomTensor(8, [2])]),
        /^GradientError: Cannot confirm the gradient of detached: at element 0 of input 1 f32\[2\]/,
      ],
      [
        () => k.checkGradients((a) => multiply(a, a), [tensor([1]), tensor([1])]),
        /the loss does not depend on parameter 1/,
      ],
    ];
    for (const [check, why] of refused) await assert.rejects(check, why);
  },
);
