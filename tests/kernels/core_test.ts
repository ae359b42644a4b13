import assert from "node:assert/strict";
import { inspect } from "node:util";
import * as k from "../../kernels/mod.ts";
import { Tensor } from "../../kernels/mod.ts";
import { tensorDisplay } from "../../kernels/core/tensor.ts";
import { assertClose, testOnCpu, testOnDevices, testOnWebGpu } from "../testing.ts";
import { hiddenOp, inputsOf, oracle } from "./oracle.ts";
import type { Sample } from "../../kernels/op_definition.ts";
import { type RegisteredOp, registry } from "../../kernels/op.ts";
import { always, onNewDevice } from "./devices/webgpu/new_device.ts";

const { add, currentDevice, defineOp, full, gradients, init, matmul, multiply, record, reshape, scope } = k;
const { square, sum, tensor, withDevice, zeros } = k;

testOnCpu("console.log() prints a tensor's type, shape and device", ({ kind }) => {
  const x = tensor([1, 2, 3, 4, 5, 6], [2, 3]);
  assert.equal(inspect(x), `f32[2, 3] on ${kind}`);
  assert.equal(Deno.inspect({ key: tensor(Uint32Array.of(1)) }), `{ key: u32[1] on ${kind} }`);
});

const shown = async (value: Tensor) => await value[tensorDisplay]();

testOnCpu("a notebook shows a tensor's type, shape, device and values", async ({ kind }) => {
  const bundle = await shown(tensor([1, -0.123456, 2e9, 0, 4, 5], [2, 3]));
  assert.equal(
    bundle["text/plain"],
    `f32[2, 3] on ${kind}\n         1    -0.1235 2000000000\n         0          4          5`,
  );
  assert.equal(
    bundle["text/html"],
    `<table><caption>f32[2, 3] on ${kind}</caption><tr><td>1</td><td>-0.1235</td><td>2000000000</td></tr>` +
      "<tr><td>0</td><td>4</td><td>5</td></tr></table>",
  );
  for (
    const [value, text] of [
      [tensor(Uint32Array.of(4294967295)), `u32[1] on ${kind}\n4294967295`],
      [tensor([7], []), `f32[] on ${kind}\n7`],
      [zeros([0, 3]), `f32[0, 3] on ${kind}`],
      [new Tensor(tensor([1, 2, 3]).storage, [2], "f32", 1), `f32[2] on ${kind}\n2 3`],
    ] as const
  ) assert.equal((await shown(value))["text/plain"], text);
});

testOnCpu("a notebook reads only the corner of a large tensor's first matrix", async (device) => {
  const large = tensor(Float32Array.from({ length: 2 * 9 * 20 }, (_, i) => i), [2, 9, 20]);
  const read = device.read;
  let elements = 0;
  device.read = (range) => {
    elements += range.length;
    return read.call(device, range);
  };
  let lines: string[];
  try {
    lines = (await shown(large))["text/plain"].split("\n");
  } finally {
    device.read = read;
  }
  assert.equal(elements, 6 * 8);
  assert.equal(lines[0], `f32[2, 9, 20] on ${device.kind}, showing [0, :, :]`);
  assert.deepEqual(lines[2].trim().split(/ +/), ["20", "21", "22", "23", "24", "25", "26", "27", "…"]);
  assert.equal(lines.length, 1 + 6 + 1);
});

testOnDevices("a device refuses all work after close(), in one line", async ({ kind }) => {
  const own = await init({ device: kind, threads: 1 }), name = kind === "cpu" ? "CPU" : "WebGPU";
  await withDevice(own, async () => {
    const x = tensor([1, 2]), step = record(() => add(x, 1));
    own.close();
    const message = `Cannot use a ${name} device after close(); init() opens a new one`;
    const write = () => x.write(Float32Array.of(3, 4));
    const work = [
      write,
      () => tensor([1]),
      () => zeros([2]),
      () => add(x, 1),
      () => record(() => add(x, 1)),
      step.run,
    ];
    for (const each of work) assert.throws(each, { name: "DeviceError", message }, `${each}`);
    for (const read of [() => x.read(), () => x.readWords()]) {
      await assert.rejects(read, { name: "DeviceError", message });
    }
  });
});

testOnCpu("scope() frees what it does not return, also in lists, sets, cycles and inner scopes", async () => {
  class Layer {
    readonly weight = full([2], 3);
    readonly self = this;
  }
  let inner, escaped;
  const [layer, set, list] = scope(() => {
    inner = full([4], 1);
    escaped = scope(() => full([4], 1));
    return [new Layer(), new Set([full([1], 4)]), { list: [add(inner, 1), add(escaped, 1)] }] as const;
  });
  assertClose(await layer.weight.read(), [3, 3], 0);
  assertClose(await [...set][0].read(), [4], 0);
  for (const kept of list.list) assertClose(await kept.read(), [2, 2, 2, 2], 0);
  for (const freed of [inner!, escaped!]) {
    assert.throws(() => add(freed, 1), /Cannot use a tensor after its scope has ended/);
  }
});

testOnCpu(
  "scope() keeps the history of tensors made outside it, and removes that of its results",
  async () => {
    const x = tensor([1, 2]), y = square(x);
    for (const kept of scope(() => [y, reshape(y, [1, 2])])) {
      assertClose(await gradients(sum(kept), [x])[0].read(), [2, 4], 0);
    }
    const inside = () => {
      const made = scope(() => {
        const inner = scope(() => multiply(x, 2));
        return [inner, reshape(inner, [1, 2])];
      });
      assert.deepEqual(made.map(({ history }) => history), [undefined, undefined]);
      return made;
    };
    inside();
    const step = record(() => [...inside(), y]); // also in a recorded step
    step.run();
    assertClose(await step.result[0].read(), [2, 4], 0);
    assertClose(await gradients(sum(y), [x])[0].read(), [2, 4], 0);
  },
);

testOnDevices(
  "scope() frees memory for reuse, and a device works after a failed allocation",
  async (device) => {
    const round = () => scope(() => void multiply(full([1000], 2), full([1000], 3)));
    round();
    const before = device.allocatedBytes;
    for (let i = 0; i < 100; i++) round();
    assert.ok(device.allocatedBytes <= before, "a hundred rounds need no more than one");
    const refusal = { name: "DeviceError", message: /^Cannot allocate .*; use a smaller/ };
    assert.throws(() => full([1e6, 1e6], 0), refusal);
    assertClose(await add(full([1], 1), 1).read(), [2], 0);
  },
);

Deno.test("tensor() before init() says what to do", () => {
  const none = undefined as unknown as ReturnType<typeof currentDevice>;
  assert.throws(() => withDevice(none, () => tensor([1])), {
    name: "DeviceError",
    message: /await init\(\)/,
  });
});

testOnCpu("a tensor of another device, also of the same kind, is refused", async (device) => {
  const [one, two] = [await init({ device: "cpu" }), await init({ device: "cpu" })];
  const [x, y, z] = [device, one, two].map((each) => withDevice(each, () => tensor([1])));
  assert.throws(() => withDevice(one, () => add(x, y)), /Cannot run add: f32\[1\] lives on cpu/);
  assert.equal(currentDevice(), two);
  assert.throws(() => add(y, z), /lives on cpu, the others on another cpu; .*after the last init\(\)/);
});

testOnCpu("ops and gradients run on their tensors' device, whichever is in use", async (device) => {
  const other = await init({ device: "cpu" });
  const on = <T>(run: () => T) => withDevice(device, run);
  const x = on(() => tensor([1, 2, 3, 4], [2, 2]));
  const [many, few, none] = on(() =>
    [full([2, 3, 2, 2], 1), full([2, 1, 2, 2], 1), full([0, 2], 1)] as const
  );
  await withDevice(other, async () => {
    const [dx] = gradients(sum(multiply(x, square(x))), [x]);
    assertClose(await gradients(sum(dx), [x])[0].read(), [6, 12, 18, 24], 1e-5);
    assert.equal(matmul(many, few).device, device);
    assert.equal(sum(none, [0]).device, device);
  });
});

function declare(signature: string, more: { attributes?: Record<string, "u32"> } = {}): void {
  defineOp({ name: "made up", signature, wgsl: "", reference() {}, samples: [], ...more });
}

const refused: Readonly<Record<string, string>> = {
  "x[S...] > y[S...]":
    'has 0 arrows " -> " between inputs and outputs (expected a signature such as a[M, K], ',
  "x[n] -> y[n] -> z[n]": 'has 2 arrows " -> "',
  "x[n], b(n) -> y[n]": 'contains "b(n)" (expected a buffer such as a[M, K], x[S...] or index:u32[n])',
  "x[n],b[n] -> y[n]": 'contains "x[n],b[n]"',
  "x:f16[n] -> y[n]": 'contains "x:f16[n]"',
  "x[S..] -> y[n]": 'has an axis "S.." of x (expected a name, a length, or S... for any axes)',
  "x[n,] -> y[n]": 'has an axis "" of x',
  "x[2n] -> y[n]": 'has an axis "2n" of x',
  "x[S..., T...] -> y[n]": "has several variadic axes in x[S..., T...] (expected at most one)",
  "x[n] -> ": "has no output",
  "x[n], x[m] -> y[n]": "has two buffers x on one side (expected a different name for each)",
  "x[n] -> y[m]":
    "does not give the length of m in y (expected an axis of an input, an attribute, or derive)",
  "x[S] -> y[S...]": "does not give the length of S... in y",
  "x[n, m] -> x[n]": "changes the axes or type of x, which it updates in place",
};

Deno.test("defineOp() refuses malformed signatures with a one-line message", () => {
  for (const [signature, why] of Object.entries(refused)) {
    assert.throws(() => declare(signature), (error: Error) => {
      assert.equal(error.name, "TypeError");
      assert.ok(
        error.message.startsWith(`Cannot declare op made up: its signature "${signature}" ${why}`),
        error.message,
      );
      return !error.message.includes("\n");
    });
  }
  // An attribute may give the length of an axis.
  declare("x[n] -> y[m, 2, S]", { attributes: { m: "u32", S: "u32" } });
});

/** x + 10 high + low. */
const twoDigits = hiddenOp({
  name: "twoDigitsForTest",
  signature: "x[n] -> y[n]",
  attributes: { high: "u32", low: "f32" },
  wgsl: "fn kernel(i: u32) { y[i] = x[i] + 10.0 * f32(dims.high) + dims.low; }",
  reference({ x, y }, { high, low }) {
    for (let i = 0; i < y.length; i++) y[i] = x[i] + 10 * high + low;
  },
  samples: [],
});

/** x + 12, with dims derived in either order. */
const derived = hiddenOp({
  name: "derivedForTest",
  signature: "x[n] -> y[n]",
  attributes: { swap: "u32" },
  derive: ({ swap }): Record<string, number> => swap === 1 ? { b: 2, a: 1 } : { a: 1, b: 2 },
  wgsl: "fn kernel(i: u32) { y[i] = x[i] + f32(10u * dims.a + dims.b); }",
  reference({ x, y }, { a, b }) {
    for (let i = 0; i < y.length; i++) y[i] = x[i] + 10 * a + b;
  },
  samples: [],
});

testOnCpu("an op accepts attributes, and derived dims, in any order", async () => {
  const x = tensor([100]);
  assertClose(await twoDigits(x, { high: 2, low: 3 }).read(), [123], 0);
  assertClose(await twoDigits(x, { low: 3, high: 2 }).read(), [123], 0);
  assertClose(await twoDigits(x, { low: 2, high: 3 }).read(), [132], 0);
  for (const swap of [0, 1]) assertClose(await derived(x, { swap }).read(), [112], 0);
});

testOnCpu("an op names an attribute that is missing, unknown or of the wrong type", () => {
  const refused: [attributes: unknown, why: string][] = [
    [undefined, "attribute high is undefined"],
    [{ high: 1 }, "attribute low is undefined"],
    [{ high: 1, low: 2, lo: 3 }, "unknown attribute lo"],
    [{ high: 1, low: 2, toString: 3 }, "unknown attribute toString"],
    [{ high: -1, low: 2 }, "attribute high is -1"],
    [{ high: 1.5, low: 2 }, "attribute high is 1.5"],
    [{ high: 1, low: "2" }, 'attribute low is "2"'],
  ];
  for (const [attributes, why] of refused) {
    assert.throws(() => (twoDigits as (...given: unknown[]) => unknown)(tensor([1]), attributes), {
      name: "TypeError",
      message: `Cannot run twoDigitsForTest: ${why} (expected attributes: high: u32, low: f32)`,
    });
  }
});

const doubled = defineOp({
  name: "doubledVectors",
  signature: "x[N] -> y[N]",
  wgsl: "fn kernel(i: u32) { y[i] = 2.0 * x[i]; }",
  vectors: () => ["x", "y"],
  invocations: ({ N }) => N / 4,
  reference({ x, y }) {
    for (let i = 0; i < y.length; i++) y[i] = 2 * x[i];
  },
  samples: [],
});

testOnDevices("an op accepts buffers of vectors", async () => {
  assert.deepEqual([...await doubled(tensor([1, 2, 3, 4, 5, 6, 7, 8])).read()], [2, 4, 6, 8, 10, 12, 14, 16]);
});

testOnWebGpu("a buffer whose length is not a multiple of four is refused", () => {
  assert.throws(() => doubled(tensor([1, 2, 3, 4, 5])), {
    name: "DeviceError",
    message: "Cannot run doubledVectors by vectors: x has 5 elements (expected a multiple of 4)",
  });
});

/** Allowed error of f32 kernels, relative to the largest value. */
const tolerance = 2e-5;

function candidatesFor({ kernel, inputs, plan }: RegisteredOp, { shapes, attributes = {} }: Sample) {
  const { dims } = plan(inputs.map(({ name }) => shapes[name]), attributes);
  return kernel.candidates!(dims, currentDevice().tuning);
}

testOnWebGpu("an op runs a candidate only where it fits", () => {
  for (const op of registry.values()) {
    const { kernel, samples, inputs, plan } = op;
    if (!kernel.candidates) continue;
    const fitting = samples.map((sample) => candidatesFor(op, sample)), { tuning } = currentDevice();
    for (const [i, { shapes, attributes = {} }] of samples.entries()) {
      const { dims } = plan(inputs.map(({ name }) => shapes[name]), attributes);
      const chosen = (candidate?: string) => {
        const by = { ...tuning, ...candidate !== undefined && { candidate } };
        return [kernel.specialise(dims, by), kernel.passes?.(dims, by)?.length];
      };
      for (const other of new Set(fitting.flat()).difference(new Set(fitting[i]))) {
        assert.deepEqual(chosen(other), chosen(), `${other} for sample ${i} of ${op.name}`);
      }
    }
  }
});

for (const op of registry.values()) {
  if (!op.kernel.candidates) continue;
  testOnWebGpu(
    `${op.name}() equals its reference with each of its candidates`,
    () =>
      onNewDevice(async () => {
        const sample = op.samples.toSorted((a, b) =>
          candidatesFor(op, b).length - candidatesFor(op, a).length
        )[0];
        const inputs = inputsOf(op, sample);
        const expected = oracle(op, sample, inputs);
        const candidates = candidatesFor(op, sample);
        assert.ok(candidates.length > 1);
        for (const candidate of candidates) {
          const tensors = op.inputs.map(({ name }, i) =>
            tensor(Float32Array.from(inputs[i]), sample.shapes[name])
          );
          const step = record(() => op.run(tensors, sample.attributes ?? {}));
          const choices = await step.tune({ store: always(candidate), seconds: 0 });
          const own = choices.find(({ key }) => key.call.startsWith(`${op.name} `)); // parts have choices, too
          assert.equal(own?.chosen, candidate);
          step.run();
          for (const [i, y] of step.result.entries()) {
            const { name } = op.outputs[i];
            assertClose(await y.read(), expected[name], tolerance, `${name} by ${candidate}`);
          }
        }
      }, { checked: true }),
  );
}
