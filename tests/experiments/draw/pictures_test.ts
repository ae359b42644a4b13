import assert from "node:assert/strict";
import { sharpnessFinding } from "../../../experiments/draw/pictures.ts";

Deno.test("sharpnessFinding() tells blurred images from sharp ones, however grainy or faint", () => {
  const image = (of: (column: number) => number) => [Float32Array.from({ length: 64 }, (_, i) => of(i % 8))];
  const sharp = image((column) => column < 4 ? 0 : 1);
  const blurred = image((column) => column / 7);
  const grainy = image((column) => (column < 4 ? 0 : 0.9) + column % 2 / 20);
  const between = image((column) => [0, 0, 0.2, 0.2, 0.9, 0.9, 1, 1][column]);
  const finding = (one: Float32Array[], many = sharp) => sharpnessFinding("map", [one, many], 8);
  assert.match(finding(blurred)!, /of the map are blurred$/);
  assert.match(finding(image((column) => column / 70))!, /blurred$/);
  for (const one of [sharp, grainy, image((column) => column < 4 ? 0 : 0.3)]) {
    assert.match(finding(one)!, /as sharp as from 20$/);
  }
  assert.match(finding(sharp, blurred)!, /as sharp as from 20$/);
  assert.equal(finding(between), undefined);
});
