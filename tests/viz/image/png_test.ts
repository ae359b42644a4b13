import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
// @ts-types="npm:@types/pngjs@6.0.5"
import { PNG } from "npm:pngjs@7.0.0";
import * as viz from "../../../viz/mod.ts";
import { rgba, scatter } from "./gif_reading.ts";
import { testNeeding, testUnless } from "../../permissions.ts";
import { pythonWith } from "../../python.ts";

/** Colour types of PNG: byte 24 of a file is the bit depth, byte 25 the colour type. */
const GREYSCALE = 0;
const RGB = 2;

Deno.test("encodePng() writes gray as 8-bit greyscale and other palettes as RGB, pixel-exact", () => {
  const inverted = viz.colormap("gray").map((value) => 255 - value);
  const palettes = [viz.colormap("gray"), viz.colormap("magma"), viz.colormap("rdbu"), inverted];
  for (const [i, palette] of palettes.entries()) {
    for (const [width, height] of [[1, 1], [1, 7], [13, 1], [16, 16], [61, 35]]) {
      const bytes = viz.encodePng(scatter(width, height), palette);
      assert.deepEqual([bytes[24], bytes[25]], [8, i === 0 ? GREYSCALE : RGB]);
      const decoded = PNG.sync.read(Buffer.from(bytes));
      assert.deepEqual([decoded.width, decoded.height], [width, height]);
      assert.deepEqual([...decoded.data], rgba(scatter(width, height).pixels, palette));
    }
  }
});

const draw = await viz.rasterizer();

function svg(content: string, width = 60, height = 20): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${content}</svg>`;
}

Deno.test("rasterizer() draws text in its own font, sharp at any scale", () => {
  const ink = (words: string, zoom = 1) => {
    const text = `<text x="2" y="15" font-size="14" font-family="DejaVu Sans">${words}</text>`;
    return draw(svg(text), zoom).rgba.reduce((sum, value, i) => i % 4 === 3 ? sum + value : sum, 0) / 255;
  };
  const shapes = new Set([..."abcdefgmwxyzABCDEF0123456789=.,−–×’"].map((letter) => ink(letter)));
  assert.ok(!shapes.has(0) && shapes.size > 25, `${shapes.size} shapes`);
  assert.ok(Math.abs(ink("t = 0.37", 4) / ink("t = 0.37") / 16 - 1) < 0.05);
  assert.deepEqual([draw(svg(""), 3).width, draw(svg(""), 3).height], [180, 60]);
  assert.throws(() => draw("no picture"));
});

Deno.test("encodeRasterPng() is pixel-exact, opaque or not, and grey where all is grey", () => {
  // colour types of PNG: 0 grey, 2 RGB, 6 RGBA
  const cases = [
    [1, "#a05", "#123", 2],
    [0.5, "#a05", "#123", 6],
    [1, "#777", "#eee", 0],
    ...["#770", "#707", "#077"].map((fill) => [1, fill, "#eee", 2] as const), // two channels are equal
  ] as const;
  for (const [opacity, fill, ground, type] of cases) {
    const raster = draw(svg(
      `<g opacity="${opacity}"><path d="M0 0h60v20h-60z" fill="${ground}"/><circle cx="9" cy="9" r="8" fill="${fill}"/></g>`,
    ));
    const file = viz.encodeRasterPng(raster);
    assert.equal(file[25], type);
    const decoded = PNG.sync.read(Buffer.from(file));
    assert.deepEqual([decoded.width, decoded.height], [raster.width, raster.height]);
    assert.deepEqual([...decoded.data], [...raster.rgba]);
  }
});

testNeeding({ read: true, env: true }, "viz/image/font.ts is the output of make_font.ts", async () => {
  const { fontModule } = await import("./make_font.ts");
  assert.equal(
    await Deno.readTextFile(new URL("../../../viz/image/font.ts", import.meta.url)),
    await fontModule(),
  );
});

/** Reads an APNG from standard input; prints its sizes, times and colours. */
const reader = `
import io, json, sys
from PIL import Image
image = Image.open(io.BytesIO(sys.stdin.buffer.read()))
frames, delays = [], []
for i in range(getattr(image, "n_frames", 1)):
    image.seek(i)
    delays.append(image.info.get("duration"))
    frames.append(list(image.convert("RGBA").tobytes()))
print(json.dumps({"size": image.size, "loop": image.info.get("loop"), "delays": delays, "frames": frames}))
`;

/** Pseudorandom colours, with a part that is the same in all frames. */
function scatterRaster(seed: number, width: number, height: number, opaque = true): viz.Raster {
  const rgba = Uint8Array.from({ length: 4 * width * height }, (_, i) => {
    if (i % 4 === 3 && (opaque || i % 3 > 0)) return 255;
    return (Math.imul(i + (i % 5 === 0 ? seed : 0), 0x9e3779b1) >>> 20) & 255;
  });
  return { width, height, rgba };
}

const python = await pythonWith(["pillow==13.0.0"]);

testUnless(
  typeof python === "string" ? undefined : python.reason,
  "encodeApng() is pixel-exact in full colour, and stores delays and hold, for pillow",
  async () => {
    const sizes = [[1, 1, true], [40, 30, true], [37, 23, false], [2, 300, true]] as const;
    for (const [width, height, opaque] of sizes) {
      const frames = [0, 1, 1, 2, 300].map((seed) => scatterRaster(seed, width, height, opaque));
      const pipes = { stdin: "piped", stdout: "piped", stderr: "piped" } as const;
      const process = new Deno.Command(python as string, { args: ["-c", reader], ...pipes }).spawn();
      const writer = process.stdin.getWriter();
      await writer.write(viz.encodeApng(frames, { delay: 40, hold: 900 }));
      await writer.close();
      const { success, stdout, stderr } = await process.output();
      assert.ok(success, new TextDecoder().decode(stderr));
      const read = JSON.parse(new TextDecoder().decode(stdout));
      assert.deepEqual([read.size, read.loop], [[width, height], 0]);
      assert.deepEqual(read.delays, [40, 40, 40, 40, 900]);
      frames.forEach(({ rgba }, i) => assert.deepEqual(read.frames[i], [...rgba], `frame ${i}`));
    }
  },
);
