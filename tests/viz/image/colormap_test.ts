import assert from "node:assert/strict";
import { colormap, type ColormapName } from "../../../viz/mod.ts";

const names: ColormapName[] = ["gray", "magma", "viridis", "rdbu"];

function color(name: ColormapName, i: number): number[] {
  return [...colormap(name).subarray(3 * i, 3 * i + 3)];
}

Deno.test("colormap() gives a new palette of 256 colours", () => {
  for (const name of names) {
    assert.equal(colormap(name).length, 256 * 3);
    assert.notEqual(colormap(name), colormap(name));
  }
});

Deno.test("colormap() gray has equal levels and indices", () => {
  assert.deepEqual([...colormap("gray")], Array.from({ length: 768 }, (_, i) => Math.floor(i / 3)));
});

Deno.test("colormap() has the published colours", () => {
  assert.deepEqual([0, 128, 255].map((i) => color("magma", i)), [[0, 0, 4], [183, 55, 121], [252, 253, 191]]);
  const viridis = [0, 128, 255].map((i) => color("viridis", i));
  assert.deepEqual(viridis, [[68, 1, 84], [33, 145, 140], [253, 231, 37]]);
  assert.deepEqual([0, 255].map((i) => color("rdbu", i)), [[103, 0, 31], [5, 48, 97]]);
});

Deno.test("colormap() sequential maps get lighter with the index", () => {
  for (const name of ["gray", "magma", "viridis"] as const) {
    const luma = Array.from({ length: 256 }, (_, i) => {
      const [r, g, b] = color(name, i);
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    });
    // Rounding to bytes may make neighbours equal or swap them.
    assert.ok(luma.every((value, i) => i < 2 || value > luma[i - 2]), name);
  }
});

Deno.test("colormap() rdbu is red, then white, then blue", () => {
  const [r, , b] = color("rdbu", 40);
  assert.ok(r > b);
  assert.ok(Math.min(...color("rdbu", 127), ...color("rdbu", 128)) > 235);
  const [r2, , b2] = color("rdbu", 215);
  assert.ok(b2 > r2);
});

Deno.test("colormap() suggests the nearest name for an unknown one", () => {
  assert.throws(() => colormap("virids" as ColormapName), {
    name: "TypeError",
    message: 'Cannot make colormap: no map is named "virids", did you mean "viridis"? ' +
      "(expected one of gray, magma, viridis, rdbu)",
  });
  assert.throws(() => colormap("toString" as ColormapName), TypeError);
});
