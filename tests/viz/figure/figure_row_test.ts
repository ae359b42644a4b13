import assert from "node:assert/strict";
import { figure, figureRow, rasterizer } from "../../../viz/mod.ts";

const box = (color: string, width: number, height: number) =>
  figure([{ x: [0, 1], y: [0, 1], color, size: 40 }], { width, height });

/** The colour of a pixel. */
async function colourAt(svg: string, x: number, y: number): Promise<number[]> {
  const { width, rgba } = (await rasterizer())(svg);
  return [...rgba.subarray(4 * (y * width + x), 4 * (y * width + x) + 3)];
}

Deno.test("figureRow() puts stills side by side, with a legend in lines below", async () => {
  const figures = [box("#ff0000", 300, 200), box("#0000ff", 200, 150)];
  const bare = figureRow(figures);
  assert.match(bare, /^<svg [^>]*width="500" height="200"/);
  assert.deepEqual(await colourAt(bare, 170, 90), [255, 0, 0]);
  assert.deepEqual(await colourAt(bare, 425, 60), [0, 0, 255]);

  const entries = Array.from({ length: 9 }, (_, i) => ({ name: `setup ${i} <b>`, color: "#00ff00" }));
  const svg = figureRow(figures, entries);
  const [, height] = /height="(\d+)"/.exec(svg)!;
  assert.ok(Number(height) >= 200 + 3 * 18, "nine names take three lines");
  assert.ok(svg.includes("setup 8 &lt;b&gt;"));
  assert.deepEqual(await colourAt(svg, 20, 211), [0, 255, 0]);
  const places = [...svg.matchAll(/<path d="M([\d.]+) ([\d.]+)h18"/g)].map(([, x]) => Number(x));
  assert.ok(places.every((x) => x < 500));
  assert.throws(() => figureRow([]), {
    name: "RangeError",
    message: /none is given \(expected at least 1\)/,
  });
});
