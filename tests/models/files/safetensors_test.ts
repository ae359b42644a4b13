import assert from "node:assert/strict";
import { decodeSafetensors, encodeSafetensors } from "../../../models/files/safetensors.ts";
import { withFolder } from "../../folder.ts";
import { testNeeding, testUnless } from "../../permissions.ts";
import { askPython, pythonWith } from "../../python.ts";
import { dataFile, file, tensor } from "./safetensors_file.ts";

const bits = (data: Float32Array) => new Uint32Array(data.buffer, data.byteOffset, data.length);

Deno.test("decodeSafetensors() inverts encodeSafetensors() bit for bit", () => {
  const weights = new Float32Array([1, -0, Infinity, NaN, 1e-45, 3.4028234663852886e38]);
  bits(weights)[3] = 0x7fa12345; // a signalling NaN with a payload
  const tensors = new Map([
    ["10", { shape: [2, 3], data: weights }],
    ["9", tensor([0, 4])],
    ['name "quoted"\n', tensor([], 7)],
    ["__proto__", tensor([1], 1)],
    ["constructor", tensor([2], 2, 3)],
  ]);
  const metadata = { type: "UNet_FM", note: "café" };
  const decoded = decodeSafetensors(encodeSafetensors(tensors, metadata), "memory");
  assert.deepEqual([...decoded.tensors], [...tensors]);
  assert.deepEqual(bits(decoded.tensors.get("10")!.data), bits(weights));
  assert.deepEqual(decoded.metadata, metadata);
  assert.equal(({} as Record<string, unknown>).shape, undefined);
});

Deno.test("encodeSafetensors() writes header, padding and data in the specified format", () => {
  const bytes = encodeSafetensors(new Map([["b", tensor([1], 1)], ["a", tensor([2], 2, 3)]]));
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  assert.equal(length % 8, 0);
  assert.equal(
    new TextDecoder().decode(bytes.subarray(8, 8 + length)).trimEnd(),
    '{"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}',
  );
  assert.deepEqual([...bytes.subarray(8 + length)], [0, 0, 128, 63, 0, 0, 0, 64, 0, 0, 64, 64]);
});

Deno.test("encodeSafetensors() writes a part of a larger buffer", () => {
  const data = new Float32Array([0, 1, 2, 3]).subarray(1, 3);
  const { tensors } = decodeSafetensors(encodeSafetensors(new Map([["a", { shape: [2], data }]])), "memory");
  assert.deepEqual([...tensors.get("a")!.data], [1, 2]);
});

Deno.test("encodeSafetensors() refuses a reserved name and a shape that does not match its data", () => {
  assert.throws(() => encodeSafetensors(new Map([["__metadata__", tensor([1], 1)]])), {
    name: "SafetensorsError",
    message: 'Cannot encode tensor "__metadata__": the name is reserved; rename the tensor',
  });
  for (const shape of [[3], [-1, -2], [0.5, 4]]) {
    assert.throws(() => encodeSafetensors(new Map([["a", tensor(shape, 1, 2)]])), {
      name: "SafetensorsError",
      message: `Cannot encode tensor "a": shape [${shape.join(", ")}] does not match 2 values`,
    });
  }
});

Deno.test("encodeSafetensors() refuses values and metadata that would make a file nobody can read", () => {
  for (const data of [new Float64Array(1), [1]]) {
    assert.throws(() => encodeSafetensors(new Map([["a", { shape: [1], data: data as never }]])), {
      name: "SafetensorsError",
      message: 'Cannot encode tensor "a": its values are no Float32Array',
    });
  }
  assert.throws(() => encodeSafetensors(new Map(), { step: 3 as never }), {
    name: "SafetensorsError",
    message: 'Cannot encode metadata "step": it is 3 (expected a string)',
  });
});

Deno.test("decodeSafetensors() reads a file without tensors, and bytes at any alignment", () => {
  assert.deepEqual(decodeSafetensors(file({}), "memory"), { tensors: new Map(), metadata: {} });
  const bytes = encodeSafetensors(new Map([["a", tensor([1], 5)]]));
  const shifted = new Uint8Array(bytes.length + 1).subarray(1);
  shifted.set(bytes);
  assert.deepEqual(decodeSafetensors(shifted, "memory").tensors, new Map([["a", tensor([1], 5)]]));
});

Deno.test("decodeSafetensors() converts F64, F16, BF16, I64 and I32", () => {
  const cases: [string, ArrayBuffer, number[]][] = [
    ["F64", new Float64Array([0.1, -2]).buffer, [Math.fround(0.1), -2]],
    ["F16", new Uint16Array([0x3c00, 0x7bff, 0x0001, 0xfc00]).buffer, [1, 65504, 2 ** -24, -Infinity]],
    ["BF16", new Uint16Array([0x3f80, 0xc049]).buffer, [1, -3.140625]],
    ["I64", new BigInt64Array([-3n, 1n << 40n]).buffer, [-3, 2 ** 40]],
    ["I32", new Int32Array([-(2 ** 31), 16777216]).buffer, [-(2 ** 31), 16777216]],
  ];
  for (const [dtype, buffer, expected] of cases) {
    const bytes = dataFile(dtype, new Uint8Array(buffer), expected.length);
    assert.deepEqual([...decodeSafetensors(bytes, "memory").tensors.get("a")!.data], expected, dtype);
  }
});

testNeeding({ read: true }, "decodeSafetensors() reads a file written by Python", async () => {
  const path = new URL("../../vectors/from_python.safetensors", import.meta.url);
  const { tensors, metadata } = decodeSafetensors(await Deno.readFile(path), path.pathname);
  assert.deepEqual(metadata, { type: "UNet_FM", note: "café" });
  assert.deepEqual(
    tensors,
    new Map([
      ["conv.weight", tensor([2, 3], 0.1, -2.5, 3, 1e-40, Infinity, -0)],
      ["half", tensor([5], 1, -0.333251953125, 65504, 2 ** -24, -Infinity)],
      ["brain", tensor([3, 1], 1, -3.140625, 9.969209968386869e37)],
      ["steps", tensor([], 16777216)],
      ["empty", tensor([0, 3])],
    ]),
  );
});

const python = await pythonWith(["numpy", "safetensors"]);

testUnless(
  typeof python === "string" ? undefined : python.reason,
  "encodeSafetensors() writes a file that Python reads back",
  () =>
    withFolder(async (folder) => {
      const path = `${folder}/a.safetensors`;
      const tensors = new Map([
        ["conv.weight", tensor([2, 3], 0.1, -2.5, 3, 1e-40, 1e38, -0)],
        ["empty", tensor([0, 3])],
        ["scalar", tensor([], 7)],
      ]);
      await Deno.writeFile(path, encodeSafetensors(tensors, { note: "café" }));
      const program = `
import json, sys
from safetensors import safe_open
with safe_open(sys.argv[1], framework="numpy") as file:
    tensors = {name: file.get_tensor(name) for name in file.keys()}
    print(json.dumps({
        "metadata": file.metadata(),
        "tensors": {name: [str(a.dtype), list(a.shape), a.tobytes().hex()] for name, a in tensors.items()},
    }))`;
      const read = await askPython(python as string, program, path);
      const expected = [...tensors].map(([name, { shape, data }]) => [
        name,
        ["float32", shape, new Uint8Array(data.buffer).toHex()],
      ]);
      assert.deepEqual(read, { metadata: { note: "café" }, tensors: Object.fromEntries(expected) });
    }),
);
