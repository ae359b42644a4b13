/** Files that are no safetensors, or damaged ones: each is refused with one line that says why. */

import assert from "node:assert/strict";
import { decodeSafetensors, encodeSafetensors, SafetensorsError } from "../../../models/files/safetensors.ts";
import { dataFile, entry, file, tensor } from "./safetensors_file.ts";

function assertRefused(bytes: Uint8Array, message: string) {
  assert.throws(() => decodeSafetensors(bytes, "a.safetensors"), (error) => {
    assert.ok(error instanceof SafetensorsError);
    assert.equal(error.message, `Cannot read a.safetensors: ${message}`);
    assert.ok(!error.message.includes("\n"));
    return true;
  });
}

Deno.test("decodeSafetensors() refuses integers that f32 cannot hold", () => {
  assertRefused(
    dataFile("I32", new Uint8Array(new Int32Array([1, 16777217]).buffer), 2),
    'tensor "a": integer 16777217 at index 1 is not exact in f32; store it as F32 or F64',
  );
  assertRefused(
    dataFile("I64", new Uint8Array(new BigInt64Array([(1n << 63n) - 1n]).buffer), 1),
    'tensor "a": integer 9223372036854775807 at index 0 is not exact in f32; store it as F32 or F64',
  );
});

Deno.test("decodeSafetensors() refuses a broken frame", () => {
  const shortFile = "(expected a header length in the first 8); is it a safetensors file?";
  assertRefused(new Uint8Array(0), `the file has 0 bytes ${shortFile}`);
  assertRefused(new Uint8Array(7), `the file has 7 bytes ${shortFile}`);
  assertRefused(file({}, 0, 3n), "header length is 3 but only 2 bytes follow it; the file is truncated");
  assertRefused(
    file({}, 0, 2n ** 64n - 1n),
    "header length is 18446744073709552000 (expected at most 100000000); is it a safetensors file?",
  );
  assertRefused(
    file({}, 0, 100_000_001n),
    "header length is 100000001 (expected at most 100000000); is it a safetensors file?",
  );
  const ofTorch = [0x50, 0x4b, 3, 4, 0, 0, 8, 8, 0, 0];
  assertRefused(
    Uint8Array.from(ofTorch),
    "it is a zip archive, as torch.save() writes (expected a safetensors file, as safetensors.torch.save_file() does)",
  );
});

Deno.test("decodeSafetensors() refuses a header that is not a JSON object", () => {
  const notJson = "the header is not JSON in UTF-8; the file is damaged or not a safetensors file";
  assertRefused(file("{"), notJson);
  assertRefused(file('{"a'), notJson);
  assertRefused(file('{"\\x":1}'), notJson);
  const badUtf8 = file("{ }");
  badUtf8[9] = 0xff;
  assertRefused(badUtf8, notJson);
  for (const text of ["", "[]", "1", "null", '"a"', " {}", "\ufeff{}"]) {
    assertRefused(file(text), "the header is not a JSON object (expected it to begin with {)");
  }
});

Deno.test("decodeSafetensors() refuses duplicate names, even escaped or nested", () => {
  const a = JSON.stringify(entry([1], [0, 4]));
  assertRefused(file(`{"a":${a},"a":${a}}`, 4), '"a" occurs twice in the header (expected every name once)');
  assertRefused(
    file(`{"a":${a},"\\u0061" :${a}}`, 4),
    '"a" occurs twice in the header (expected every name once)',
  );
  assertRefused(
    file('{"a":{"dtype":"F32","dtype":"F16","shape":[1],"data_offsets":[0,4]}}', 4),
    '"dtype" occurs twice in the header (expected every name once)',
  );
  const harmless = file(
    `{"a":${a},"dtype":${JSON.stringify(entry([0], [4, 4]))},"__metadata__":{"a":"a:{["}}`,
    4,
  );
  assert.deepEqual([...decodeSafetensors(harmless, "memory").tensors.keys()], ["a", "dtype"]);
});

Deno.test("decodeSafetensors() refuses deep nesting at once", () => {
  const deep = "the header nests deeper than 3 levels (expected a flat table)";
  assertRefused(file("{" + '"a":{'.repeat(1_000_000)), deep);
  assertRefused(file('{"a":' + "[".repeat(1_000_000)), deep);
});

Deno.test("decodeSafetensors() refuses metadata that are not strings", () => {
  assertRefused(file({ __metadata__: [] }), "__metadata__ is a list (expected an object of strings)");
  assertRefused(file({ __metadata__: null }), "__metadata__ is null (expected an object of strings)");
  assertRefused(
    file({ __metadata__: { epoch: 3 } }),
    '__metadata__ has 3 under "epoch" (expected a string)',
  );
});

Deno.test("decodeSafetensors() refuses broken entries", () => {
  const noEntry = "(expected dtype, shape and data_offsets)";
  assertRefused(file({ a: 1 }), `tensor "a": its entry is 1 ${noEntry}`);
  assertRefused(file({ a: [] }), `tensor "a": its entry is a list ${noEntry}`);
  assertRefused(file({ a: null }), `tensor "a": its entry is null ${noEntry}`);

  const known = "is not supported (expected F32, F64, F16, BF16, I64, I32); convert it to F32";
  for (const dtype of ["F8_E4M3", "f32", "__proto__", "constructor"]) {
    assertRefused(file({ a: entry([1], [0, 4], dtype) }, 4), `tensor "a": dtype "${dtype}" ${known}`);
  }
  assertRefused(file({ a: entry([1], [0, 4], ["F32"]) }, 4), `tensor "a": dtype a list ${known}`);
  assertRefused(file({ a: {} }), `tensor "a": dtype undefined ${known}`);

  const badShape = 'tensor "a": shape is not a list of non-negative integers';
  for (const shape of [1, "1", null, { length: 1 }, [-1], [1.5], ["1"], [null], [2 ** 53]]) {
    assertRefused(file({ a: entry(shape, [0, 4]) }, 4), badShape);
  }
  for (const shape of [[2 ** 31, 2 ** 31], Array(1000).fill(65536), [2 ** 52, 2 ** 52, 0]]) {
    assertRefused(
      file({ a: entry(shape, [0, 4]) }, 4),
      'tensor "a": shape has too many elements',
    );
  }

  const badOffsets = 'tensor "a": data_offsets are not two non-negative integers';
  for (const offsets of [4, null, [], [0], [0, 4, 8], [-4, 0], [0, 4.5], ["0", "4"], [0, 2 ** 60]]) {
    assertRefused(file({ a: entry([1], offsets) }, 4), badOffsets);
  }
  assertRefused(file({ a: entry([1], [4, 0]) }, 4), 'tensor "a": data_offsets begin at 4 but end at 0');
  assertRefused(
    file({ a: entry([2, 3], [0, 20]) }, 20),
    'tensor "a": data_offsets span 20 bytes, shape and dtype F32 need 24',
  );
});

Deno.test("decodeSafetensors() refuses data that overlap, leave gaps, or miss the end of the file", () => {
  const a = entry([2], [0, 8]);
  assertRefused(
    file({ a, b: entry([2], [4, 12]) }, 12),
    'tensor "b": its data begin at 4, it overlaps the tensor before it (expected 8)',
  );
  assertRefused(
    file({ a, b: a }, 8),
    'tensor "b": its data begin at 0, it overlaps the tensor before it (expected 8)',
  );
  assertRefused(
    file({ a, b: entry([0], [4, 4]) }, 8),
    'tensor "b": its data begin at 4, it overlaps the tensor before it (expected 8)',
  );
  assertRefused(
    file({ a, b: entry([1], [12, 16]) }, 16),
    'tensor "b": its data begin at 12, there is a gap before it (expected 8)',
  );
  assertRefused(
    file({ a }, 7),
    'tensor "a": its data end at 8 but the file holds 7 bytes of data; the file is truncated',
  );
  assertRefused(
    file({ a: entry([2 ** 50], [0, 2 ** 52]) }, 8),
    `tensor "a": its data end at ${2 ** 52} but the file holds 8 bytes of data; the file is truncated`,
  );
  assertRefused(file({ a }, 9), "the tensors end at 8 but the file holds 9 bytes of data");
  assertRefused(file({}, 1), "the tensors end at 0 but the file holds 1 bytes of data");
});

Deno.test("decodeSafetensors() cuts long names and keeps messages on one line", () => {
  assertRefused(
    file({ ["x\n".repeat(1000)]: 1 }),
    `tensor ${
      JSON.stringify("x\n".repeat(30) + "...")
    }: its entry is 1 (expected dtype, shape and data_offsets)`,
  );
});

Deno.test("decodeSafetensors() throws only SafetensorsError on damaged files", () => {
  let state = 1;
  const random = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor(state / 2 ** 32 * below);
  };
  const intact = encodeSafetensors(
    new Map([["conv.weight", tensor([2, 2], 1, 2, 3, 4)], ["bias", tensor([2], 5, 6)], ["t", tensor([], 7)]]),
    { type: "UNet_FM" },
  );
  const likely = new TextEncoder().encode('{}[]":,-.0123456789eE\\u FI');
  let refused = 0;
  for (let i = 0; i < 20_000; i++) {
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
  assert.ok(refused > 10_000, `only ${refused} of 20,000 damaged files were refused`);
});
