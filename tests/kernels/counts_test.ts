import assert from "node:assert/strict";
import {
  checkGradients,
  concat,
  conv2d,
  type Device,
  full,
  gatherImages,
  groupNorm,
  init,
  mean,
  permute,
  randomBits,
  randomNormal,
  randomNormalRows,
  randomUniform,
  record,
  type RecordOptions,
  reshape,
  resizeBilinear,
  slice,
  sum,
  Tensor,
  tensor,
  uniforms,
  withDevice,
  zeros,
} from "../../kernels/mod.ts";
import { assertRefuses, type Counting, notCounts } from "../refusing.ts";
import { assertClose, testOnDevices } from "../testing.ts";

const image = () => full([1, 2, 4, 4], 1);
const key = () => tensor(Uint32Array.of(1, 2, 3));
/** Values that are neither axes nor indices of small tensors. */
const notAxes = [1.5, NaN, -7, Infinity, 2 ** 60];
/** Values that no u32 holds. */
const notWords = [1.5, NaN, -2, Infinity, 2 ** 32, "2" as unknown as number];

/** Each public function of the kernels that counts something, by the argument. */
const counting: Record<string, Counting | [Counting, readonly number[]]> = {
  "tensor() shape": (n) => tensor([1, 2], [n, 1]),
  "full() shape": (n) => full([n, 2], 1),
  "zeros() shape": (n) => zeros([2, n]),
  "reshape() shape": (n) => reshape(image(), [n, 16]),
  "randomNormal() shape": (n) => randomNormal(key(), [n]),
  "randomNormalRows() shape": (n) => randomNormalRows(key(), tensor(Uint32Array.of(1, 2)), [2, n]),
  "randomUniform() shape": (n) => randomUniform(key(), [n, 2]),
  "slice() axis": [(n) => slice(image(), n, 0, 1), notAxes],
  "slice() start": (n) => slice(image(), 1, n, 1),
  "slice() length": (n) => slice(image(), 3, 0, n),
  "concat() axis": [(n) => concat([image(), image()], n), notAxes],
  "permute() order": [(n) => permute(zeros([2, 2]), [n, 0]), notAxes],
  "sum() axis": [(n) => sum(image(), [n]), notAxes],
  "mean() axis": [(n) => mean(image(), [0, n]), notAxes],
  "resizeBilinear() height": [(n) => resizeBilinear(image(), n, 4), [...notCounts, 0]],
  "resizeBilinear() width": [(n) => resizeBilinear(image(), 4, n), [...notCounts, 0]],
  "conv2d() padding": (n) => conv2d(image(), zeros([1, 2, 3, 3]), zeros([1]), { padding: n }),
  "groupNorm() groups": [(n) => groupNorm(image(), zeros([2]), zeros([2]), { groups: n }), [...notCounts, 0]],
  "groupNorm() epsilon": [
    (n) => groupNorm(image(), zeros([2]), zeros([2]), { groups: 1, epsilon: n }),
    [NaN, -1, Infinity],
  ],
  "gatherImages() pixels": (n) =>
    gatherImages(key(), tensor(new Uint32Array(1)), { pixels: n, scale: 1, shift: 0 }),
  "randomBits() seed": [(n) => randomBits(n, 0, 0, 1), notWords],
  "randomBits() stream": [(n) => randomBits(0, n, 0, 1), notWords],
  "randomBits() counter": [(n) => randomBits(0, 0, n, 1), notWords],
  "randomBits() count": [(n) => randomBits(0, 0, 0, n), [1.5, NaN, -2, Infinity]],
  "uniforms() count": [(n) => uniforms(0, 0, 0, n), [1.5, NaN, -2, Infinity]],
  "checkGradients() tolerance": [(n) => checkGradients((x) => sum(x), [tensor([1])], { tolerance: n }), [
    NaN,
    -1,
    0,
  ]],
  "checkGradients() step": [(n) => checkGradients((x) => sum(x), [tensor([1])], { step: n }), [
    NaN,
    -1,
    0,
    Infinity,
  ]],
  "Tensor() shape": (n) => new Tensor(image().storage, [n]),
  "Tensor() offset": [(n) => new Tensor(image().storage, [16], "f32", n), [...notCounts, 17]],
  "record() precision": [
    () => record(() => zeros([1]), { precision: "f64" as RecordOptions["precision"] & string }),
    [0],
  ],
};

for (const [name, given] of Object.entries(counting)) {
  testOnDevices(`${name} that is not a whole number in its range is refused in words`, async (device) => {
    const [call, values] = Array.isArray(given) ? given : [given, notCounts];
    await assertRefuses(name, call, values);
    await assertGoesOn(device);
  });
}

testOnDevices("Device.allocate() refuses what is not a number of bytes, and keeps count", async (device) => {
  await assertRefuses("allocate()", (bytes) => device.allocate(bytes));
  await assertGoesOn(device);
});

testOnDevices("tensor() refuses what is not numbers", () => {
  const given = (values: unknown) => () => tensor(values as number[]);
  const expected = {
    "value 0 is a list (expected a number; flatten nested lists, and give the shape as the second argument)":
      [
        [1, 2],
        [3, 4],
      ],
    'value 1 is "2" (expected a number)': [1, "2"],
    "value 0 is undefined (expected a number)": [undefined],
    "value 0 is null (expected a number)": [null],
    "value 0 is true (expected a number)": [true],
    "value 0 is 1 (expected a number)": BigInt64Array.of(1n),
  };
  for (const [why, values] of Object.entries(expected)) {
    assert.throws(given(values), { name: "TypeError", message: `Cannot make a tensor: ${why}` });
  }
  for (const values of [3, "12", {}, undefined, null]) {
    assert.throws(given(values), {
      name: "TypeError",
      message: /^Cannot make a tensor from .*expected a list/,
    });
  }
  assert.throws(
    () => zeros(3 as unknown as number[]),
    /^ShapeError: Cannot make a tensor of shape 3 \(expected a list/,
  );
});

testOnDevices("tensor() takes any numbers, NaN too", async () => {
  assertClose(await tensor(Float64Array.of(1, 2)).read(), [1, 2], 0);
  assertClose(await tensor(Int8Array.of(-1)).read(), [-1], 0);
  assert.deepEqual([...await tensor([NaN, -Infinity]).read()], [NaN, -Infinity]);
  assert.deepEqual(tensor([], [0, 3]).shape, [0, 3]);
});

Deno.test("init() refuses threads that are not a whole number from 0 to 64, whatever the device", async () => {
  for (const device of ["cpu", "webgpu", "auto"] as const) {
    await assertRefuses("init()", (threads) => init({ device, threads }), [1.5, NaN, -1, 65, Infinity]);
  }
});

/** Asserts that a device still works, and knows how much memory it holds. */
async function assertGoesOn(device: Device): Promise<void> {
  assert.ok(Number.isFinite(device.allocatedBytes), `allocatedBytes is ${device.allocatedBytes}`);
  assertClose(await withDevice(device, () => full([2], 3)).read(), [3, 3], 0);
}
