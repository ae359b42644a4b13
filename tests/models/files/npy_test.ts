import assert from "node:assert/strict";
import { encodeNpy } from "../../../models/files/npy.ts";
import { withFolder } from "../../folder.ts";
import { testUnless } from "../../permissions.ts";
import { askPython, pythonWith } from "../../python.ts";

Deno.test("encodeNpy() writes magic, version, header and data in the specified format", () => {
  const bytes = encodeNpy([2, 1], new Float32Array([1, -2]));
  assert.equal(bytes.length, 128 + 8);
  assert.deepEqual([...bytes.subarray(0, 10)], [0x93, ...new TextEncoder().encode("NUMPY"), 1, 0, 118, 0]);
  assert.equal(
    new TextDecoder().decode(bytes.subarray(10, 128)),
    "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }".padEnd(117) + "\n",
  );
  assert.deepEqual([...bytes.subarray(128)], [0, 0, 128, 63, 0, 0, 0, 192]);
});

Deno.test("encodeNpy() writes shapes as Python tuples, aligns the data, and refuses other lengths", () => {
  for (const [shape, tuple] of [[[], "()"], [[3], "(3,)"], [[2, 0, 4], "(2, 0, 4)"]] as const) {
    const bytes = encodeNpy(shape, new Float32Array(shape.reduce((a: number, b) => a * b, 1)));
    assert.ok(new TextDecoder().decode(bytes).includes(`'shape': ${tuple}, }`));
  }
  for (let rank = 1; rank <= 32; rank++) {
    const bytes = encodeNpy(Array(rank).fill(1), new Float32Array([1]));
    assert.deepEqual([(bytes.length - 4) % 64, bytes[bytes.length - 5]], [0, 0x0a], `rank ${rank}`);
  }
  assert.throws(() => encodeNpy([2, 2], new Float32Array(3)), {
    name: "RangeError",
    message: "Cannot encode npy: shape [2, 2] does not match 3 values",
  });
});

const python = await pythonWith(["numpy", "safetensors"]);

testUnless(
  typeof python === "string" ? undefined : python.reason,
  "encodeNpy() writes files that NumPy reads back",
  () =>
    withFolder(async (folder) => {
      const path = `${folder}/a.npy`;
      for (const shape of [[], [5], [2, 3], [1, 0, 4], [2, 1, 28, 28]]) {
        const data = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i / 3);
        await Deno.writeFile(path, encodeNpy(shape, data));
        const program = `
import json, sys, numpy
a = numpy.load(sys.argv[1])
print(json.dumps([a.dtype.str, list(a.shape), bool(a.flags.c_contiguous), a.tobytes().hex()]))`;
        const read = await askPython(python as string, program, path);
        assert.deepEqual(read, ["<f4", shape, true, new Uint8Array(data.buffer).toHex()]);
      }
    }),
);
