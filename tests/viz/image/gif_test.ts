import assert from "node:assert/strict";
import {
  colormap,
  colormapNames,
  encodeApng,
  encodeGif,
  encodePng,
  type GifOptions,
} from "../../../viz/mod.ts";
import { readGif, rgba, scatter } from "./gif_reading.ts";

const magma = colormap("magma");

function encoded(frames: number, options: GifOptions = {}) {
  return readGif(encodeGif(Array.from({ length: frames }, (_, i) => scatter(4, 3, i)), magma, options));
}

Deno.test("encodeGif() is pixel-exact, with one global palette", () => {
  for (const name of colormapNames) {
    for (const [width, height] of [[1, 1], [1, 9], [17, 5], [120, 90]]) {
      const frames = [0, 1, 2].map((seed) => scatter(width, height, 1000 * seed));
      frames.push({ width, height, pixels: new Uint8Array(width * height).fill(255) });
      const gif = readGif(encodeGif(frames, colormap(name)));
      assert.deepEqual([gif.width, gif.height, gif.frames.length], [width, height, 4]);
      // Global colours follow 6 bytes of signature and 7 of screen description.
      assert.deepEqual(gif.paletteOffsets, [13, 13, 13, 13]);
      frames.forEach(({ pixels }, i) => assert.deepEqual([...gif.frames[i]], rgba(pixels, colormap(name))));
    }
  }
});

Deno.test("encodeGif() compresses unchanged pixels, and stays pixel-exact", () => {
  const fewer = (seed: number) => {
    const { width, height, pixels } = scatter(120, 90, 7 * seed);
    const kept = scatter(120, 90, 0).pixels;
    // Nine tenths do not change.
    return { width, height, pixels: pixels.map((index, i) => (i % 10 === seed ? index : kept[i]) % 200) };
  };
  for (const colors of [200, 4, 2, 1]) {
    const frames = [0, 1, 2, 2, 3].map(fewer)
      .map((frame) => ({ ...frame, pixels: frame.pixels.map((index) => index % colors) }));
    const bytes = encodeGif(frames, magma);
    readGif(bytes).frames.forEach((frame, i) => assert.deepEqual([...frame], rgba(frames[i].pixels, magma)));
    const alone = frames.reduce((sum, frame) => sum + encodeGif([frame], magma).length, 0);
    if (colors === 200) assert.ok(bytes.length < 0.6 * alone, `${bytes.length} of ${alone} bytes`);
  }
});

Deno.test("encodeGif() stores the delay of each frame, the hold of the last, and the number of plays", () => {
  assert.deepEqual(encoded(3).delays, [50, 50, 50]);
  assert.deepEqual(encoded(3, { delay: 20, hold: 655_350 }).delays, [20, 20, 655_350]);
  assert.deepEqual(encoded(1, { delay: 40, hold: 900 }).delays, [900]);
  assert.deepEqual(encoded(2, { delay: 33, hold: 47 }).delays, [30, 50]);
  const plays = [undefined, Infinity, 1, 2, 65_536].map((plays) =>
    encoded(2, plays ? { plays } : {}).loopCount
  );
  assert.deepEqual(plays, [0, 0, null, 1, 65_535]);
});

Deno.test("encoders reject what they cannot encode", () => {
  const one = [scatter(4, 3, 0)];
  const raster = (width: number, height: number) => ({
    width,
    height,
    rgba: new Uint8Array(4 * width * height),
  });
  const short = { width: 4, height: 3, pixels: new Uint8Array(11) };
  const durations = [0, 19, NaN, -50, Infinity];
  const wide = "frames are 65536 wide and 1 high \\(expected at most 65535";
  const cases: [() => unknown, message: string][] = [
    [() => encodeGif([], magma), "GIF: there are no frames \\(expected at least 1\\)$"],
    [
      () => encodeGif([...one, scatter(3, 4, 0)], magma),
      "GIF: frame 1 is 3 wide and 4 high \\(expected 4 and 3 as in ",
    ],
    [() => encodeGif([...one, short], magma), "GIF frame 1: picture holds 11 pixels"],
    [() => encodeGif([scatter(65_536, 1, 0)], magma), `GIF: ${wide}`],
    [() => encodeGif(one, new Uint8Array(6)), "GIF: palette holds 6 bytes"],
    ...durations.flatMap((delay): [() => unknown, string][] => [
      [() => encoded(1, { delay }), "GIF: delay is .* ms \\(expected 20 to 655350 ms\\)$"],
      [() => encoded(1, { hold: delay }), "GIF: hold is .* ms \\(expected 20 to 655350 ms\\)$"],
    ]),
    ...[0, -1, 1.5, NaN, 65_537].map((plays): [() => unknown, string] => [
      () => encoded(1, { plays }),
      "GIF: plays is .* \\(expected",
    ]),
    [() => encodeApng([]), "APNG: there are no frames \\(expected at least 1\\)$"],
    [() => encodeApng([raster(2, 3), raster(3, 2)]), "APNG: frame 1 is 3 wide and 2 high"],
    [() => encodeApng([raster(1, 1)], { delay: 1 }), "APNG: delay is 1 ms \\(expected 20 to 65535 ms\\)$"],
    [
      () => encodeApng([raster(1, 1)], { hold: 70_000 }),
      "APNG: hold is 70000 ms \\(expected 20 to 65535 ms\\)$",
    ],
    [
      () => encodePng({ ...short, height: 2 }),
      "PNG: picture holds 11 pixels but is 4 wide and 2 high \\(expected 8\\)$",
    ],
    [() => encodePng({ ...raster(2, 2), height: 1 }), "PNG: picture holds 4 pixels but is"],
    [() => encodePng({ ...short, width: 0 }), "PNG: .*width is 0"],
    [
      () => encodePng(scatter(2, 2), new Uint8Array(3)),
      "PNG: palette holds 3 bytes \\(expected 768, u8\\[256, 3\\]\\)$",
    ],
  ];
  for (const [encode, message] of cases) {
    assert.throws(encode, new RegExp(`^RangeError: Cannot encode ${message}`));
  }
});
