import assert from "node:assert/strict";
import {
  gatherImages,
  gatherRows,
  gradients,
  multiply,
  packBytes,
  sum,
  tensor,
  zeros,
} from "../../../kernels/mod.ts";
import { assertClose, testOnAllKernels, testOnDevices } from "../../testing.ts";

const indices = () => tensor(Uint32Array.of(2, 0, 2));

testOnAllKernels("gatherRows() has a gradient that sums over the rows picked", async () => {
  const table = tensor([1, 2, 3, 4, 5, 6], [3, 2]);
  const weights = tensor([1, 10, 2, 20, 3, 30], [3, 2]);
  const rows = gatherRows(table, indices());
  assertClose(await rows.read(), [5, 6, 1, 2, 5, 6], 0);
  const [found] = gradients(sum(multiply(rows, weights)), [table]);
  assertClose(await found.read(), [2, 20, 0, 0, 4, 40], 0);
});

testOnAllKernels("gatherRows() takes labels: u32, in one column or several", async () => {
  const labels = gatherRows(tensor(Uint32Array.of(7, 8, 4294967295)), indices());
  assert.deepEqual([labels.type, labels.shape], ["u32", [3]]);
  assert.deepEqual(await labels.readWords(), Uint32Array.of(4294967295, 7, 4294967295));
  const pairs = gatherRows(tensor(Uint32Array.of(1, 2, 3, 4, 5, 6), [3, 2]), indices());
  assert.deepEqual([pairs.type, pairs.shape], ["u32", [3, 2]]);
  assert.deepEqual(await pairs.readWords(), Uint32Array.of(5, 6, 1, 2, 5, 6));
});

testOnAllKernels(
  "gatherRows() gives NaN for a row that the table does not have, and no gradient",
  async () => {
    const table = tensor([1, 2, 3, 4], [2, 2]);
    zeros([6]); // so that the result lies in memory with values
    const beyond = tensor(Uint32Array.of(1, 2, 0xffffffff));
    const rows = gatherRows(table, beyond);
    assert.deepEqual([...await rows.read()], [3, 4, NaN, NaN, NaN, NaN]);
    const [found] = gradients(sum(multiply(rows, tensor([1, 2, 3, 4, 5, 6], [3, 2]))), [table]);
    assert.deepEqual(await found.read(), Float32Array.of(0, 0, 1, 2));
  },
);

testOnAllKernels(
  "gatherRows() gives labels that are none for rows that the table does not have",
  async () => {
    const labels = gatherRows(tensor(Uint32Array.of(7, 8)), tensor(Uint32Array.of(2, 1, 0x80000000)));
    assert.deepEqual(await labels.readWords(), Uint32Array.of(0xffffffff, 8, 0xffffffff));
    const none = gatherRows(tensor([1, 2]), labels);
    assert.deepEqual([...await none.read()], [NaN, NaN, NaN]);
  },
);

testOnAllKernels("gatherImages() gives NaN for an image beyond the bytes", async () => {
  const bytes = packBytes(Uint8Array.of(1, 2, 3, 4, 5, 6));
  const beyond = tensor(Uint32Array.of(1, 2, 0x40000000, 0));
  const images = gatherImages(bytes, beyond, { pixels: 3, scale: 1, shift: 0 });
  assert.deepEqual([...await images.read()], [4, 5, 6, NaN, NaN, NaN, NaN, NaN, NaN, 1, 2, 3]);
});

testOnDevices("gatherRows() refuses a table of other rank", () => {
  assert.throws(() => gatherRows(zeros([2, 2, 2]), indices()), {
    name: "ShapeError",
    message: "Cannot run gatherRows: table is f32[2, 2, 2] (expected one or two axes)",
  });
});
