import assert from "node:assert/strict";
import {
  add,
  gradients,
  multiply,
  peek,
  planMemory,
  record,
  scope,
  sum,
  tensor,
} from "../../../kernels/mod.ts";
import { testOnCpu, testOnDevices } from "../../testing.ts";

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
  const lines: string[] = [], { log } = console;
  console.log = (line) => void lines.push(line);
  try {
    peek(tensor([0, 1, 2, 3, 4, 5], [2, 3]), "h");
    peek(tensor([NaN, Infinity, 2]), "bad");
    await peek(tensor([NaN]), "worst").read();
  } finally {
    console.log = log;
  }
  assert.deepEqual(lines, [
    "h f32[2, 3]: from 0 to 5, mean 2.5, deviation 1.708",
    "bad f32[3]: from 2 to 2, mean 2, deviation 0, 2 not finite",
    "worst f32[1]: 1 not finite",
  ]);
});

testOnDevices("peek() hands what its function throws to who reads a tensor", async () => {
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
  for (const how of ["read", "readWords"] as const) {
    assert.throws(() => record(() => multiply(tensor([1]), 2)[how]()), {
      name: "UserError",
      message:
        /^Cannot read f32\[1\] inside a network or step .* \(expected read\(\) outside, or peek\(x, label\)/,
    });
  }
});
