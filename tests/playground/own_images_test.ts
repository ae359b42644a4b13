import assert from "node:assert/strict";
import { fitted, holdOut, isIdx, parseIdx } from "../../playground/own_images.ts";

/** An IDX file of bytes. */
function idx(lengths: readonly number[], values: readonly number[]): Uint8Array<ArrayBuffer> {
  const header = lengths.flatMap((
    length,
  ) => [length >> 24, length >> 16 & 255, length >> 8 & 255, length & 255]);
  return Uint8Array.from([0, 0, 8, lengths.length, ...header, ...values]);
}

Deno.test("parseIdx() reads images and labels", () => {
  const images = idx([2, 1, 3], [1, 2, 3, 4, 5, 6]);
  assert.ok(isIdx(images));
  assert.deepEqual(parseIdx(images, "a"), {
    count: 2,
    size: [1, 3],
    values: Uint8Array.of(1, 2, 3, 4, 5, 6),
  });
  assert.deepEqual(parseIdx(idx([3], [7, 8, 9]), "b"), { count: 3, values: Uint8Array.of(7, 8, 9) });
  assert.ok(!isIdx(Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10)));
  assert.ok(!isIdx(images.subarray(0, 9)), "half a header");
});

Deno.test("parseIdx() reports in one line what is wrong with a file", () => {
  const cases: readonly (readonly [bytes: Uint8Array, problem: RegExp])[] = [
    [
      idx([2, 2], [1, 2, 3, 4]),
      /^PlaygroundError: Cannot use x: its values have 2 axes \(expected 3 for images/,
    ],
    [
      idx([2, 1, 3], [1, 2]),
      /^PlaygroundError: Cannot read x: it holds 2 bytes of data \(expected 6, by its header/,
    ],
    [idx([0, 1, 3], []), /^PlaygroundError: Cannot read x: it is empty \(expected at least one image/],
    [idx([2 ** 31 - 1, 2000, 2000], [1]), /^PlaygroundError: Cannot read x: it holds 1 bytes/],
  ];
  for (const [bytes, problem] of cases) assert.throws(() => parseIdx(bytes, "x"), problem);
});

Deno.test("fitted() scales images to 28 x 28, and centres those that are not square on black", () => {
  const square = fitted(Uint8Array.from({ length: 56 * 56 }, (_, i) => (i % 56) < 28 ? 200 : 40), [56, 56]);
  assert.deepEqual([square[0], square[13], square[14], square[27]], [200, 200, 40, 40]);
  const fine = Uint8Array.from({ length: 84 * 84 }, (_, i) => i % 84 + 2 * Math.floor(i / 84)); // 9 per pixel
  const means = Array.from({ length: 784 }, (_, i) => 3 * (i % 28) + 1 + 2 * (3 * Math.floor(i / 28) + 1));
  assert.deepEqual([...fitted(fine, [84, 84])], means);
  const small = fitted(Uint8Array.from({ length: 2 * 196 }, () => 90), [14, 14]);
  assert.ok(small.length === 2 * 784 && small.every((value) => value === 90));
  const wide = fitted(new Uint8Array(28 * 14).fill(255), [14, 28]);
  const rows = Array.from({ length: 28 }, (_, y) => wide[28 * y + 5]);
  assert.deepEqual(rows, Array.from({ length: 28 }, (_, y) => y >= 7 && y < 21 ? 255 : 0));
});

Deno.test("holdOut() holds out a tenth, and rejects labels that do not match", () => {
  const images = new Uint8Array(784 * 20);
  const labels = Uint8Array.from({ length: 20 }, (_, i) => i % 10);
  const { train, heldOut } = holdOut(images, labels);
  assert.deepEqual([train.labels.length, [...heldOut.labels]], [18, [8, 9]]);
  assert.equal(heldOut.images.length, 2 * 784);
  assert.deepEqual(new Set(holdOut(images, undefined).train.labels), new Set([10]));
  assert.throws(
    () => holdOut(images, labels.subarray(3)),
    /there are 17, the highest is 9 \(expected 20, from 0 to 9\)/,
  );
  assert.throws(() => holdOut(images, labels.map(() => 12)), /the highest is 12/);
  assert.throws(() => holdOut(new Uint8Array(784), undefined), /Cannot train on 1 images/);
});
