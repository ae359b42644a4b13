import assert from "node:assert/strict";
import * as k from "../../kernels/mod.ts";
import { Tensor } from "../../kernels/mod.ts";
import { replacing } from "../replacing.ts";
import { assertClose, testOnCpu, testOnDevices, testOnWebGpu } from "../testing.ts";
import type { BufferRange, Device } from "../../kernels/devices/device.ts";
import { whenRun } from "../../kernels/record/record.ts";
import { type RegisteredOp, registry } from "../../kernels/op.ts";
import type { Sample } from "../../kernels/op_definition.ts";
import { inputsOf, oracle } from "./oracle.ts";

const { add, assign, attend, conv2d, convTranspose2d, countMultiplyAdds, currentDevice, full } = k;
const { gradients, matmul, multiply, peek, planMemory, putAt, record, reshape, scope, square, sum } = k;
const { tensor, zeros } = k;

testOnDevices("record() gives the function's result on every run, for new inputs", async () => {
  const [x, w] = [tensor([0, 0, 0]), tensor([1, 2, 3])];
  let begun = 0;
  const step = record(() => {
    whenRun(() => begun++);
    return gradients(sum(multiply(multiply(x, x), w)), [x])[0];
  });
  for (const [i, values] of [[1, 1, 1], [2, -1, 0.5]].entries()) {
    x.write(Float32Array.from(values));
    step.run();
    assert.equal(begun, i + 1);
    assertClose(await step.result.read(), values.map((v, i) => 2 * v * (i + 1)), 1e-6);
  }
});

testOnCpu("record() shares memory among values that are not alive at the same time", () => {
  const x = full([1000], 1);
  const chain = () => {
    let y = x;
    for (let i = 0; i < 50; i++) y = add(y, 1);
    return y;
  };
  const { bytes, calls, largestBytes } = planMemory(chain);
  assert.deepEqual([calls, largestBytes, bytes], [50, 4000, 3 * 4000]); // the result, and two alternating values
  const sizes = () => {
    for (const unused of [1000, 1000, 400, 1250]) full([unused], 1);
    const used = full([900], 1); // in the memory of 1000, the smallest that fits
    full([1250], 1);
    return add(used, 1);
  };
  assert.equal(planMemory(sizes).bytes, 4 * (1000 + 400 + 1250 + 900)); // 400 does not occupy the memory of 1000
});

/** The sum of the fourth powers of n numbers 3 1/3; the squares are a large inner value. */
function fourthPowers(n: number) {
  const x = full([n], 3 + 1 / 3);
  return () => sum(square(square(x)));
}

testOnDevices("record() in f16 halves large values, not small ones or terms of sums", async (device) => {
  const n = 4097; // the last word holds one number
  const work = fourthPowers(n);
  if (!device.halfStorage) {
    const why =
      `Cannot keep values in f16 on ${device.description}: it has no shader-f16 (expected precision f32)`;
    for (const refused of [record, planMemory]) {
      assert.throws(() => refused(work, { precision: "f16" }), { name: "DeviceError", message: why });
    }
    return;
  }
  const [plain, half] = (["f32", "f16"] as const).map((precision) => record(work, { precision }));
  assert.equal(plain.plan.bytes - half.plan.bytes, 4096 * 2); // the squares; the fourth powers are only summed
  for (const step of [plain, half]) step.run();
  const squared = (3 + 1 / 3) ** 2;
  assertClose(await plain.result.read(), [n * squared ** 2], 1e-6);
  assertClose(await half.result.read(), [n * Math.f16round(squared) ** 2], 1e-6);
  const small = record(fourthPowers(100), { precision: "f16" });
  const tiny = full([4096], 1e-5); // its square, 1e-10, would be 0 in f16
  const norm = record(() => sum(square(tiny)), { precision: "f16" });
  for (const step of [small, norm]) step.run();
  assertClose(await small.result.read(), [100 * squared ** 2], 1e-6);
  assertClose([(await norm.result.read())[0] * 1e6], [0.4096], 1e-6);
});

testOnCpu("record() keeps its inputs alive, and throws if a scope freed one", async () => {
  const step = record(() => add(tensor([1, 2]), 1));
  for (let i = 0; i < 50; i++) full([2], 1000);
  step.run();
  assertClose(await step.result.read(), [2, 3], 0);
  const lost = scope(() => {
    const inside = record(() => add(full([2], 1), 1));
    return { inside: () => inside.run() };
  });
  assert.throws(() => lost.inside(), /after its scope has ended/);
});

testOnCpu("record() and planMemory() free all memory on failure", (device) => {
  const bad = () => {
    add(tensor(new Float32Array(1000)), 1);
    throw new Error("a step that fails");
  };
  const empty = () => tensor(new Float32Array(1000));
  const tooLarge = () => {
    using _ = replacing([device, { maxRangeBytes: 64 }]);
    return record(() => add(empty(), 1));
  };
  const attempts = () => {
    assert.throws(() => record(bad), /a step that fails/);
    assert.throws(() => planMemory(bad), /a step that fails/);
    assert.throws(() => record(empty), /Cannot record a step that runs no op/);
    assert.throws(tooLarge, /Cannot record the step: its largest value has 4000 bytes/);
    assert.throws(() => record(async () => await Promise.resolve(empty())), /asynchronous/);
  };
  attempts();
  const before = device.allocatedBytes;
  for (let i = 0; i < 20; i++) attempts();
  assert.equal(device.allocatedBytes, before);
});

testOnCpu("record() refuses nesting, asynchronous steps, and inner values used outside", async () => {
  assert.throws(() => record(() => record(() => full([1], 1))), /Cannot record a step inside another/);
  assert.throws(() => record(() => Promise.resolve()), TypeError);
  let inner = full([1], 0);
  const step = record(() => add(inner = full([1], 1), 1));
  step.run();
  assert.doesNotThrow(() => add(full([1], 1), 1));
  await assert.rejects(inner.read(), /Cannot use a value of a recorded step outside it/);
  assert.throws(() => add(inner, 1), /Cannot use a value of a recorded step outside it/);
});

testOnCpu("record() lets an op write to the target of assign(), if it is free", async () => {
  const flat = full([192], 7);
  const [first, last] = [0, 128].map((offset) => new Tensor(flat.storage, [3], "f32", offset));
  const x = tensor([1, 2, 3]);
  const step = record(() => {
    assign(first, multiply(x, 2));
    const shared = multiply(x, 3); // is also read elsewhere, so it is copied
    assign(last, shared);
    return add(shared, first);
  });
  assert.equal(step.plan.calls, 4);
  step.run();
  assertClose(await step.result.read(), [5, 10, 15], 0);
  const expected = new Float32Array(192).fill(7);
  expected.set([2, 4, 6]);
  expected.set([3, 6, 9], 128);
  assertClose(await flat.read(), expected, 0);

  const target = tensor([1, 1, 1]);
  const late = record(() => {
    const next = multiply(x, 10);
    const before = add(target, 0); // still reads the target when `next` is computed
    assign(target, next);
    return before;
  });
  late.run();
  assertClose(await late.result.read(), [1, 1, 1], 0);
  assertClose(await target.read(), [10, 20, 30], 0);

  const whole = full([128], 0), y = full([64], 1);
  const [left, right] = [0, 64].map((offset) => new Tensor(whole.storage, [64], "f32", offset));
  const beside = record(() => {
    const [a, b] = [multiply(y, 2), multiply(y, 3)];
    assign(right, b); // beside the target, not in it
    assign(left, a);
  });
  assert.equal(beside.plan.calls, 2);
});

testOnDevices("a recorded step does not grow in memory over a thousand runs", async () => {
  const log = tensor(new Float32Array(8));
  const index = tensor(new Uint32Array(1));
  const x = full([1], 0);
  const step = record(() => {
    putAt(x, add(x, 1), tensor(new Uint32Array(1)));
    putAt(log, reshape(x, [1]), index);
  });
  step.run();
  const before = currentDevice().allocatedBytes;
  for (let i = 1; i < 1000; i++) {
    index.write(Uint32Array.of(i % 8));
    step.run();
  }
  assertClose(await x.read(), [1000], 0);
  assertClose(await log.read(), [993, 994, 995, 996, 997, 998, 999, 1000], 0);
  assert.ok(currentDevice().allocatedBytes <= before);
});

testOnCpu("countMultiplyAdds() counts the products of a step, including padding", () => {
  const image = zeros([2, 3, 8, 6]), points = zeros([2, 5, 9]), bias = zeros([4]);
  const expected: [() => unknown, number][] = [
    [() => matmul(zeros([7, 2, 3]), zeros([3, 5])), 7 * 2 * 3 * 5],
    [() => conv2d(image, zeros([4, 3, 3, 3]), bias, { padding: 1 }), 2 * 4 * 8 * 6 * 3 * 9],
    [() => convTranspose2d(image, zeros([3, 4, 2, 2]), bias), 2 * 4 * 16 * 12 * 3],
    [() => attend(points, points, points, { scale: 1 }), 2 * 2 * 5 * 9 * 9],
    // Each gradient takes the same number as the product itself.
    [
      () => gradientsOf((w) => conv2d(image, w, bias, { stride: 2 }), [4, 3, 3, 3]),
      3 * (2 * 4 * 3 * 2 * 3 * 9),
    ],
    [() => gradientsOf((w) => convTranspose2d(image, w, bias), [3, 4, 2, 2]), 3 * (2 * 4 * 16 * 12 * 3)],
  ];
  function gradientsOf(f: (w: Tensor) => Tensor, shape: readonly number[]) {
    const w = zeros(shape);
    gradients(sum(f(w)), [image, w]);
  }
  for (const [step, count] of expected) assert.equal(countMultiplyAdds(step), count);
});

testOnDevices("peek() shows each value once it is computed, in order, and changes nothing", async () => {
  const seen: [string, number[]][] = [];
  const look = (name: string) => (values: Float32Array) => void seen.push([name, [...values]]);
  const x = tensor([1, 2, 3]);
  const y = scope(() => multiply(peek(multiply(x, x), look("square")), peek(x, look("x"))));
  assert.deepEqual([...await y.read()], [1, 8, 27]);
  assert.deepEqual(seen.splice(0), [["square", [1, 4, 9]], ["x", [1, 2, 3]]]);

  const work = () => {
    const loss = sum(peek(multiply(peek(multiply(x, x), look("square")), x), look("cube")));
    return [loss, ...gradients(loss, [x])];
  };
  planMemory(work);
  const step = record(work);
  await x.read();
  assert.deepEqual(seen, [], "recording computes nothing");
  for (const first of [1, -1]) {
    x.write(Float32Array.of(first, 2, 3));
    step.run();
  }
  assert.deepEqual([...await step.result[1].read()], [3, 12, 27]);
  assert.deepEqual(seen, [
    ["square", [1, 4, 9]],
    ["cube", [1, 8, 27]],
    ["square", [1, 4, 9]],
    ["cube", [-1, 8, 27]],
  ]);
});

testOnCpu("peek() with a label prints the range, mean and deviation, and what is not finite", async () => {
  const lines: string[] = [];
  using _ = replacing([console, { log: (line: string) => void lines.push(line) }]);
  peek(tensor([0, 1, 2, 3, 4, 5], [2, 3]), "h");
  peek(tensor([NaN, Infinity, 2]), "bad");
  await peek(tensor([NaN]), "worst").read();
  assert.deepEqual(lines, [
    "h f32[2, 3]: from 0 to 5, mean 2.5, deviation 1.708",
    "bad f32[3]: from 2 to 2, mean 2, deviation 0, 2 not finite",
    "worst f32[1]: 1 not finite",
  ]);
});

testOnCpu("peek() hands what its function throws to who reads a tensor", async () => {
  const x = tensor([1, 2]);
  const seen: number[] = [];
  const look = ([value]: Float32Array) => {
    seen.push(value);
    if (value === 4) throw new RangeError("a user's error");
  };
  const step = record(() => add(peek(multiply(x, x), look), 1));
  for (const value of [1, 2, 3]) {
    x.write(Float32Array.of(value, value));
    step.run();
  }
  for (const read of [x.read(), step.result.readWords()]) {
    await assert.rejects(read, /^RangeError: a user's error$/);
  }
  assert.deepEqual(seen, [1, 4], "none after the error");
  step.run();
  assert.deepEqual([...await step.result.read()], [10, 10]);
  assert.deepEqual(seen, [1, 4, 9]);
});

testOnCpu("read() inside a step throws synchronously and says what to do", () => {
  const message =
    /^Cannot read f32\[1\] inside a network or step .* \(expected read\(\) outside, or peek\(x, label\)/;
  for (const how of ["read", "readWords"] as const) {
    assert.throws(() => record(() => multiply(tensor([1]), 2)[how]()), { name: "UserError", message });
  }
});

/** Numbers that f16 represents exactly, packed two to a word. */
function packed(values: ArrayLike<number>): Uint32Array<ArrayBuffer> {
  const halves = new Float16Array(Math.ceil(values.length / 2) * 2);
  halves.set(Array.from(values));
  return new Uint32Array(halves.buffer);
}

function upload(device: Device, values: ArrayLike<number>, half: boolean): BufferRange {
  const plain = values instanceof Uint32Array ? values : Float32Array.from(Array.from(values));
  const data = half ? packed(values) : plain;
  const range = { buffer: device.allocate(Math.max(data.byteLength, 4)), offset: 0, length: data.length };
  device.write(range, data);
  return range;
}

/** Runs an op with its inputs and its first output in f16, as a recorded step does; returns its outputs by name. */
async function runInHalf(
  device: Device,
  op: RegisteredOp,
  { shapes, attributes = {} }: Sample,
  arrays: Record<string, ArrayLike<number>>,
): Promise<Record<string, ArrayLike<number>>> {
  const { ports } = op.kernel;
  const half = ports.filter(({ name, type }) => type === "f32" && isHalf(op, name)).map(({ name }) => name);
  const { dims } = op.plan(op.inputs.map(({ name }) => shapes[name]), attributes);
  const ranges = ports.map(({ name }) => upload(device, arrays[name], half.includes(name)));
  device.run({ kernel: op.kernel, ranges, dims, half });
  const outputs: Record<string, ArrayLike<number>> = {};
  for (const { name, type } of op.outputs) {
    const bytes = await device.read(ranges[ports.findIndex((port) => port.name === name)]);
    const { length } = arrays[name];
    const Plain = type === "u32" ? Uint32Array : Float32Array;
    outputs[name] = half.includes(name) ? new Float16Array(bytes).subarray(0, length) : new Plain(bytes);
  }
  return outputs;
}

const isHalf = (op: RegisteredOp, name: string) =>
  op.outputs[0].name === name || !op.outputs.some((port) => port.name === name);

for (const op of registry.values()) {
  const updates = op.outputs.some(({ name }) => op.inputs.some((input) => input.name === name));
  if (updates) continue; // parameters, moments and logs are never in f16
  const [sample] = op.samples; // its results fit f16
  if (!sample) continue;
  testOnWebGpu(`${op.name}() equals its f64 reference on f16 storage`, async (device) => {
    if (!device.halfStorage) return;
    const inputs = inputsOf(op, sample).map((values) =>
      values instanceof Uint32Array ? values : Float64Array.from(new Float16Array(values))
    );
    const expected = oracle(op, sample, inputs);
    const start = Object.entries(expected).map(([name, { length }]) => [name, new Float64Array(length)]);
    const inputArrays = op.inputs.map(({ name }, i) => [name, inputs[i]]);
    const actual = await runInHalf(device, op, sample, Object.fromEntries([...start, ...inputArrays]));
    for (const { name } of op.outputs) assertClose(actual[name], expected[name], 1e-3, name);
  });
}
