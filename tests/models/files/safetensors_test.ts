/** Files of tensors, also read and written by Python. */

import assert from "node:assert/strict";
import { decodeSafetensors, encodeSafetensors, SafetensorsError } from "../../../models/files/safetensors.ts";
import { withFolder } from "../../folder.ts";
import { testNeeding, testUnless } from "../../permissions.ts";
import { askPython, pythonWith } from "../../python.ts";
import { randomOf } from "../../experiments/mutations.ts";
import { assertSameNumbers } from "../../same_numbers.ts";

const tensor = (shape: number[], ...values: number[]) => ({ shape, data: Float32Array.from(values) });
/** A tensor's entry in the header, possibly malformed. */
const entry = (shape: unknown, data_offsets: unknown, dtype: unknown = "F32") => ({
  dtype,
  shape,
  data_offsets,
});

/** A file with the given header text and data, possibly malformed. */
function file(header: unknown, data = 0, headerBytes?: bigint): Uint8Array {
  const text = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + data);
  new DataView(bytes.buffer).setBigUint64(0, headerBytes ?? BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}

/** A file of one tensor, `a`, of any type. */
function dataFile(dtype: string, bytes: Uint8Array, length: number): Uint8Array {
  const result = file({ a: entry([length], [0, bytes.length], dtype) }, bytes.length);
  result.set(bytes, result.length - bytes.length);
  return result;
}

const bits = (data: Float32Array) => new Uint32Array(data.buffer, data.byteOffset, data.length);

Deno.test("decodeSafetensors() inverts encodeSafetensors() bit for bit, at any alignment", () => {
  const weights = new Float32Array([1, -0, Infinity, NaN, 1e-45, 3.4028234663852886e38]);
  bits(weights)[3] = 0x7fa12345; // a signalling NaN with a payload
  const tensors = new Map([
    ["10", { shape: [2, 3], data: weights }],
    ["9", tensor([0, 4])],
    ['name "quoted"\n', tensor([], 7)],
    ["__proto__", tensor([1], 1)],
    ["constructor", { shape: [2], data: new Float32Array([0, 2, 3, 0]).subarray(1, 3) }],
  ]);
  const metadata = { type: "UNet_FM", note: "café" }, bytes = encodeSafetensors(tensors, metadata);
  const shifted = new Uint8Array(bytes.length + 1).subarray(1);
  shifted.set(bytes);
  for (const whole of [bytes, shifted]) {
    const decoded = decodeSafetensors(whole, "memory");
    assert.deepEqual([...decoded.tensors], [...tensors]);
    assertSameNumbers(bits(decoded.tensors.get("10")!.data), bits(weights));
    assert.deepEqual(decoded.metadata, metadata);
  }
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

Deno.test("encoding refuses input that would make an unreadable file", () => {
  const encode = (name: string, given: unknown) => () => encodeSafetensors(new Map([[name, given as never]]));
  const cases: readonly (readonly [call: () => unknown, message: string])[] = [
    [
      encode("__metadata__", tensor([1], 1)),
      'tensor "__metadata__": the name is reserved; rename the tensor',
    ],
    ...[[3], [-1, -2], [0.5, 4]].map((shape) =>
      [
        encode("a", tensor(shape, 1, 2)),
        `tensor "a": shape [${shape.join(", ")}] does not match 2 values`,
      ] as const
    ),
    ...[new Float64Array(1), [1]].map((data) =>
      [encode("a", { shape: [1], data }), 'tensor "a": its values are not a Float32Array'] as const
    ),
    [
      () => encodeSafetensors(new Map(), { step: 3 as never }),
      'metadata "step": it is 3 (expected a string)',
    ],
  ];
  for (const [call, message] of cases) assert.throws(call, { message: `Cannot encode ${message}` });
});

Deno.test("decodeSafetensors() converts types, and makes no buffer for each of many empty tensors", () => {
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
  const names = Array.from({ length: 2000 }, (_, i) => [`layer.${i}`, entry([0, 3], [0, 0])]);
  const { tensors } = decodeSafetensors(file(Object.fromEntries(names)), "memory");
  assert.deepEqual([tensors.size, tensors.get("layer.7")], [2000, tensor([0, 3])]);
  assert.equal(new Set(tensors.values().map(({ data }) => data.buffer)).size, 1);
});

testNeeding({ read: true }, "decodeSafetensors() reads a file written by Python", async () => {
  const path = new URL("../../vectors/from_python.safetensors", import.meta.url);
  const { tensors, metadata } = decodeSafetensors(await Deno.readFile(path), path.pathname);
  assert.deepEqual(metadata, { type: "UNet_FM", note: "café" });
  const expected = {
    "conv.weight": tensor([2, 3], 0.1, -2.5, 3, 1e-40, Infinity, -0),
    half: tensor([5], 1, -0.333251953125, 65504, 2 ** -24, -Infinity),
    brain: tensor([3, 1], 1, -3.140625, 9.969209968386869e37),
    steps: tensor([], 16777216),
    empty: tensor([0, 3]),
  };
  assert.deepEqual(tensors, new Map(Object.entries(expected)));
});

const python = await pythonWith(["numpy", "safetensors"]);
const reason = typeof python === "string" ? undefined : python.reason;

testUnless(
  reason,
  "Python reads what encodeSafetensors() writes",
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
with safe_open(sys.argv[1] + "/a.safetensors", framework="numpy") as file:
    read = {name: file.get_tensor(name) for name in file.keys()}
    metadata = file.metadata()
print(json.dumps({
    "metadata": metadata,
    "tensors": {name: [str(a.dtype), list(a.shape), a.tobytes().hex()] for name, a in read.items()},
}))`;
      const hex = (data: Float32Array<ArrayBuffer>) => new Uint8Array(data.buffer).toHex();
      const expected = [...tensors].map(([name, { shape, data }]) => [name, ["float32", shape, hex(data)]]);
      const found = await askPython(python as string, program, folder);
      assert.deepEqual(found, { metadata: { note: "café" }, tensors: Object.fromEntries(expected) });
    }),
);

const a = entry([2], [0, 8]);
const one = JSON.stringify(entry([1], [0, 4]));
const notUtf8 = file("{ }");
notUtf8[9] = 0xff;

const int32 = new Uint8Array(new Int32Array([1, 16777217]).buffer);
const int64 = new Uint8Array(new BigInt64Array([(1n << 63n) - 1n]).buffer);
const named = (header: unknown, data: number, ...why: string[]) =>
  [file({ a: header }, data), ['tensor "a": ', ...why]] as const;

/** Damaged or foreign files, and parts of the error message of each. */
const refused: readonly (readonly [bytes: Uint8Array, parts: readonly string[]])[] = [
  ...[0, 7].map((n) =>
    [new Uint8Array(n), [`the file has ${n} bytes`, "is it a safetensors file?"]] as const
  ),
  [file({}, 0, 3n), ["header length is 3 but only 2 bytes follow it", "truncated"]],
  ...[2n ** 64n - 1n, 100_000_001n].map((length) =>
    [file({}, 0, length), [`header length is ${Number(length)} (expected at most 100000000)`]] as const
  ),
  [Uint8Array.of(0x50, 0x4b, 3, 4, 0, 0, 8, 8, 0, 0), ["it is a zip archive, as torch.save() writes"]],
  ...[file("{"), file('{"a'), file('{"\\x":1}'), notUtf8].map((bytes) =>
    [bytes, ["the header is not JSON in UTF-8; the file is damaged"]] as const
  ),
  ...["", "[]", "1", "null", '"a"', " {}", "\ufeff{}"].map((text) =>
    [file(text), ["the header is not a JSON object (expected it to begin with {)"]] as const
  ),
  ...([[[], "is a list"], [null, "is null"], [{ epoch: 3 }, 'has 3 under "epoch"']] as const).map((
    [given, why],
  ) => [file({ __metadata__: given }), [`__metadata__ ${why} (expected `]] as const),
  ...([[1, "1"], [[], "a list"], [null, "null"]] as const).map(([given, shown]) =>
    named(given, 0, `its entry is ${shown} (expected dtype, shape and data_offsets)`)
  ),
  named({}, 0, "dtype undefined is not supported (expected F32, F64,"),
  named(entry([1], [0, 4], ["F32"]), 4, "dtype a list is not supported"),
  ...["F8_E4M3", "f32", "__proto__", "constructor"].map((dtype) =>
    named(entry([1], [0, 4], dtype), 4, `dtype "${dtype}" is not supported`)
  ),
  ...[1, "1", null, { length: 1 }, [-1], [1.5], ["1"], [null], [2 ** 53]].map((shape) =>
    named(entry(shape, [0, 4]), 4, "shape is not a list of non-negative integers")
  ),
  ...[[2 ** 31, 2 ** 31], Array(1000).fill(65536), [2 ** 52, 2 ** 52, 0]].map((shape) =>
    named(entry(shape, [0, 4]), 4, "shape has too many elements")
  ),
  ...[4, null, [], [0], [0, 4, 8], [-4, 0], [0, 4.5], ["0", "4"], [0, 2 ** 60]].map((offsets) =>
    named(entry([1], offsets), 4, "data_offsets are not two non-negative integers")
  ),
  named(entry([1], [4, 0]), 4, "data_offsets begin at 4 but end at 0"),
  named(entry([2, 3], [0, 20]), 20, "data_offsets span 20 bytes, shape and dtype F32 need 24"),
  ...([[entry([2], [4, 12]), 12, 4], [a, 8, 0], [entry([0], [4, 4]), 8, 4]] as const).map(([b, data, at]) =>
    [file({ a, b }, data), [`tensor "b": its data begin at ${at}, it overlaps`, "(expected 8)"]] as const
  ),
  [file({ a, b: entry([1], [12, 16]) }, 16), ['tensor "b": its data begin at 12, there is a gap before it']],
  named(a, 7, "its data end at 8 but the file holds 7", "truncated"),
  named(entry([2 ** 50], [0, 2 ** 52]), 8, `its data end at ${2 ** 52} but the file holds 8`, "truncated"),
  [file({ a }, 9), ["the tensors end at 8 but the file holds 9 bytes"]],
  [file({}, 1), ["the tensors end at 0 but the file holds 1 bytes"]],
  [dataFile("I32", int32, 2), ["integer 16777217 at index 1 is not exact in f32"]],
  [dataFile("I64", int64, 1), ["integer 9223372036854775807 at index 0 is not exact in f32"]],
  [file({ ["x\n".repeat(1000)]: 1 }), [`tensor ${JSON.stringify("x\n".repeat(30) + "...")}: its entry is 1`]],
];

Deno.test("decodeSafetensors() refuses damaged files with a one-line message", () => {
  for (const [bytes, parts] of refused) {
    assert.throws(() => decodeSafetensors(bytes, "a.safetensors"), (error) => {
      assert.ok(error instanceof SafetensorsError && error.message.startsWith("Cannot read a.safetensors: "));
      for (const part of parts) assert.ok(error.message.includes(part), `${error.message}, not ${part}`);
      return !error.message.includes("\n");
    });
  }
});

Deno.test("decodeSafetensors() accepts no tensors, and equal names on different levels", () => {
  assert.deepEqual(decodeSafetensors(file({}), "memory"), { tensors: new Map(), metadata: {} });
  const dtype = JSON.stringify(entry([0], [4, 4]));
  const harmless = file(`{"a":${one},"dtype":${dtype},"__metadata__":{"a":"a:{["}}`, 4);
  assert.deepEqual([...decodeSafetensors(harmless, "memory").tensors.keys()], ["a", "dtype"]);
});

Deno.test("decodeSafetensors() throws only SafetensorsError on damaged files", () => {
  const random = randomOf(1);
  const intact = encodeSafetensors(
    new Map([["conv.weight", tensor([2, 2], 1, 2, 3, 4)], ["bias", tensor([2], 5, 6)], ["t", tensor([], 7)]]),
    { type: "UNet_FM" },
  );
  const likely = new TextEncoder().encode('{}[]":,-.0123456789eE\\u FI');
  let refused = 0;
  for (let i = 0; i < 2000; i++) {
    let bytes = intact.slice();
    for (let flips = random(4); flips >= 0; flips--) {
      bytes[random(bytes.length)] = random(2) === 0 ? random(256) : likely[random(likely.length)];
    }
    if (random(4) === 0) bytes = bytes.subarray(0, random(bytes.length));
    try {
      decodeSafetensors(bytes, "damaged");
    } catch (error) {
      assert.ok(error instanceof SafetensorsError, `${error}`);
      refused++;
    }
  }
  assert.ok(refused > 1000, `only ${refused} of 2000 damaged files were refused`);
});
