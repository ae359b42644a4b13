import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
// @ts-types="npm:@types/pngjs@6.0.5"
import { PNG } from "npm:pngjs@7.0.0";
import { encodeRasterPng, rasterizer } from "../../../viz/mod.ts";
import { testNeeding } from "../../permissions.ts";

const draw = await rasterizer();

function svg(content: string, width = 60, height = 20): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${content}</svg>`;
}

Deno.test("rasterizer() sets text in its own font, crisp at any scale", () => {
  const ink = (words: string, zoom = 1) => {
    const { rgba } = draw(
      svg(`<text x="2" y="15" font-size="14" font-family="DejaVu Sans">${words}</text>`),
      zoom,
    );
    return rgba.reduce((sum, value, i) => i % 4 === 3 ? sum + value : sum, 0) / 255;
  };
  const shapes = new Set([..."abcdefgmwxyzABCDEF0123456789=.,−–×’"].map((letter) => ink(letter)));
  assert.ok(!shapes.has(0) && shapes.size > 25, `${shapes.size} shapes`);
  assert.ok(Math.abs(ink("t = 0.37", 4) / ink("t = 0.37") / 16 - 1) < 0.05);
  assert.deepEqual([draw(svg(""), 3).width, draw(svg(""), 3).height], [180, 60]);
});

Deno.test("rasterizer() throws where there is no SVG", () => {
  assert.throws(() => draw("no picture"));
});

Deno.test("encodeRasterPng() is pixel-exact, opaque or not", () => {
  for (const opacity of [1, 0.5]) {
    const raster = draw(svg(
      `<circle cx="9" cy="9" r="8" fill="#a05" opacity="${opacity}"/>` +
        (opacity === 1 ? `<path d="M0 0h60v20h-60z" fill="#123" style="mix-blend-mode:darken"/>` : ""),
    ));
    const decoded = PNG.sync.read(Buffer.from(encodeRasterPng(raster)));
    assert.deepEqual([decoded.width, decoded.height], [raster.width, raster.height]);
    assert.deepEqual([...decoded.data], [...raster.rgba]);
  }
});

testNeeding({ read: true, env: true }, "viz/image/font.ts is what make_font.ts makes", async () => {
  const { fontModule } = await import("./make_font.ts");
  assert.equal(
    await Deno.readTextFile(new URL("../../../viz/image/font.ts", import.meta.url)),
    await fontModule(),
  );
});
