/** The edges of images, and the spaces in which drift compares these. */

import assert from "node:assert/strict";
import { multiply, noise, type Tensor, tensor } from "../../../mod.ts";
import { batchSource, createModel, DriftStage } from "../../../models/mod.ts";
import { edgeStrengths } from "../../../models/distill/edges.ts";
import { upTo } from "../../refusing.ts";
import { assertClose, testOnCpu } from "../../testing.ts";

/** An image f32[1, 1, 12, 12] by a function of row and column. */
const image = (at: (row: number, column: number) => number) =>
  tensor(upTo(144).map((i) => at(Math.floor(i / 12), i % 12)), [1, 1, 12, 12]);
/** The strengths f32[8] of the square in the middle, which no border touches. */
const middleOf = async (x: Tensor) => (await edgeStrengths(x, 4).read()).filter((_, i) => i % 9 === 4);

testOnCpu(
  "edgeStrengths() finds slopes by direction, wherever they lie, and nothing in an even area",
  async () => {
    assertClose(await middleOf(image(() => 0.7)), Array(8).fill(0), 1e-6);
    // Filters in order: across (slope, curvature), then down with each of the three across.
    const slope = Math.sqrt(2) * Math.sqrt(3); // of values one apart: (1, 0, -1) / sqrt(2) down, three equal ones across
    assertClose(await middleOf(image((_, column) => column)), [slope, 0, 0, 0, 0, 0, 0, 0], 1e-5);
    assertClose(await middleOf(image((row) => row)), [0, 0, slope, 0, 0, 0, 0, 0], 1e-5);
    const line = (at: number) => image((_, column) => column === at ? 1 : -1);
    const lit = await middleOf(line(5));
    assert.ok(lit[0] > 0.5 && lit[1] > 0.5, `${lit}`);
    assertClose(await middleOf(line(6)), lit, 1e-6);
    assertClose(await middleOf(multiply(line(5), -1)), lit, 1e-6);
  },
);

testOnCpu("edgeStrengths() keeps the energy of an image without its local mean", async () => {
  const x = noise(1, [2, 3, 28, 28]);
  assert.deepEqual(edgeStrengths(x, 7).shape, [2, 24, 4, 4]);
  // Of independent normal numbers each filter of length 1 has the mean absolute answer sqrt(2 / pi).
  const values = await edgeStrengths(x, 7).read();
  assertClose([values.reduce((a, b) => a + b) / values.length], [Math.sqrt(2 / Math.PI)], 0.03);
});

testOnCpu(
  "DriftStage compares pixels, edges at two scales with weight 2, and what `encode` gives",
  () => {
    const spacesOf = (size: number, r: number, x1 = noise(1, [8, 1, size, size])) => {
      const student = createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4, flowMap: true });
      const stage = new DriftStage({ student, teacher: student, source: batchSource({ x1 }), batchSize: 4 }, {
        encode: (x) => [multiply(x, 2)],
        references: Uint32Array.from(upTo(8)),
        others: 1,
        push: 0,
        classes: 0,
      }, [[0, 1]]);
      return stage.spaces(x1, r).map(({ values, weight }) => [values.shape.slice(1).join(), weight]);
    };
    const pixels = ["1,28,28", 1];
    assert.deepEqual(spacesOf(28, 1), [pixels, ["8,7,7", 2], ["8,4,4", 2], pixels]);
    assert.deepEqual(spacesOf(28, 0.5), [pixels, pixels]);
    assert.deepEqual(spacesOf(16, 1).map(([shape]) => shape), ["1,16,16", "8,4,4", "1,16,16"]);
    assert.deepEqual(spacesOf(2, 1).length, 2);
    assert.deepEqual(spacesOf(2, 1, noise(1, [8, 2])), [["2", 1], ["2", 1]], "points have no edges");
  },
);
