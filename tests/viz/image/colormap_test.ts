import assert from "node:assert/strict";
import { colormap, type ColormapName } from "../../../viz/mod.ts";

Deno.test("colormap() has the published colours, in a new palette of 256", () => {
  const published: Record<ColormapName, [i: number, rgb: number[]][]> = {
    gray: [[0, [0, 0, 0]], [1, [1, 1, 1]], [128, [128, 128, 128]], [255, [255, 255, 255]]],
    magma: [[0, [0, 0, 4]], [128, [183, 55, 121]], [255, [252, 253, 191]]],
    viridis: [[0, [68, 1, 84]], [128, [33, 145, 140]], [255, [253, 231, 37]]],
    rdbu: [[0, [103, 0, 31]], [127, [242, 239, 237]], [255, [5, 48, 97]]],
  };
  for (const [name, colours] of Object.entries(published) as [ColormapName, [number, number[]][]][]) {
    const palette = colormap(name);
    assert.equal(palette.length, 256 * 3);
    assert.notEqual(palette, colormap(name));
    for (const [i, rgb] of colours) {
      assert.deepEqual([...palette.subarray(3 * i, 3 * i + 3)], rgb, `${name} ${i}`);
    }
  }
});

Deno.test("colormap() suggests the nearest name for an unknown one", () => {
  assert.throws(() => colormap("virids" as ColormapName), {
    name: "TypeError",
    message: 'Cannot make colormap: no map is named "virids", did you mean "viridis"? ' +
      "(expected one of gray, magma, viridis, rdbu)",
  });
  assert.throws(() => colormap("toString" as ColormapName), TypeError);
});
