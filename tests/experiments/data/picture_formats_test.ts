import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { crc32, deflateSync, inflateSync } from "node:zlib";
// @ts-types="npm:@types/pngjs@6.0.5"
import { PNG } from "npm:pngjs@7.0.0";
import { type ImagePreparation, type ImageView, prepareImage } from "../../../experiments/data/images.ts";
import { decodeJpeg, decodePng } from "../../../experiments/data/picture_formats.ts";
import { testNeeding } from "../../permissions.ts";
import vectors from "../../vectors/images.json" with { type: "json" };
import { mutateBytes, type Random, randomOf } from "../mutations.ts";
import { pngFile } from "./tiny_png.ts";
import { assertSameNumbers } from "../../same_numbers.ts";

const decoded = (bytes: Uint8Array) => {
  const { channels, height, width, bytes: pixels } = decodePng(bytes, "a.png");
  return { size: [channels, height, width], pixels: [...pixels] };
};
type Chunk = readonly [name: string, data: Uint8Array];

/** First column and row of each pass of an interlaced image, with its column and row steps. */
const adam7 = ["0088", "4088", "0448", "2044", "0224", "1022", "0112"].map((pass) =>
  Array.from(pass, Number)
);
/** Colour types with their bit depths, without those that need conversion. */
const formats = [[0, 1], [0, 2], [0, 4], [0, 8], [2, 8], [3, 1], [3, 2], [3, 4], [3, 8]];

function header(width: number, height: number, depth = 8, type = 0, interlaced = 0): Chunk {
  const data = new Uint8Array(13);
  const view = new DataView(data.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  data.set([depth, type, 0, 0, interlaced], 8);
  return ["IHDR", data];
}

const data = (...bytes: number[]): Chunk => ["IDAT", deflateSync(Uint8Array.from(bytes))];

/** A PNG file made of chunks, with their checksums and its end. */
function png(...list: readonly Chunk[]): Uint8Array<ArrayBuffer> {
  const u32 = (value: number) => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255);
  const pieces = [[0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]];
  for (const [name, data] of [...list, ["IEND", new Uint8Array(0)] as const]) {
    const named = Buffer.concat([new TextEncoder().encode(name), data]);
    pieces.push(u32(data.length), named as never, u32(crc32(named)));
  }
  return Uint8Array.from(Buffer.concat(pieces.map((piece) => Uint8Array.from(piece))));
}

/** Chunks of a random image of one format, with random filters. */
function randomImage([type, depth]: readonly number[], interlaced: number, random: Random): Chunk[] {
  // Small values make ties between neighbours.
  const bytesOf = (length: number, most = [4, 256][random(2)]) =>
    Uint8Array.from({ length }, () => random(most));
  const [width, height] = [1 + random(20), 1 + random(20)];
  const lines = (interlaced ? adam7 : [[0, 0, 1, 1]]).flatMap(([x, y, dx, dy]) => {
    const columns = Math.ceil((width - x) / dx);
    const bytes = Math.ceil(columns * (type === 2 ? 3 : 1) * depth / 8);
    const rows = columns > 0 ? Math.ceil((height - y) / dy) : 0;
    return Array.from({ length: rows }, () => [random(5), ...bytesOf(bytes)]);
  });
  return [
    header(width, height, depth, type, interlaced),
    ["PLTE", bytesOf(3 * 2 ** Math.min(depth, 8), 256)],
    data(...lines.flat()),
  ];
}

const alpha = (last: number) =>
  pngFile({ width: 2, height: 1, channels: 4 }, (i) => i === 7 ? last : i % 4 === 3 ? 255 : i);
const paletted = (palette: number[][]) => pngFile({ width: 2, height: 1, palette }, (i) => i);
const sixteen = (valueAt: (i: number) => number) => pngFile({ width: 3, height: 1, depth: 16 }, valueAt);
/** One grey pixel of value 5, with chunks before its data. */
const tiny = (...more: Chunk[]) => png(header(1, 1), ...more, data(0, 5));
const indexed = (index: number, ...more: Chunk[]) => png(header(1, 1, 8, 3), ...more, data(0, index));
const palette: Chunk = ["PLTE", Uint8Array.of(1, 2, 3, 4, 5, 6)];
const transparency = (...bytes: number[]): Chunk => ["tRNS", Uint8Array.from(bytes)];
const wide = (last: number) => png(header(1, 1, 16), transparency(5, last), data(0, 5, 5));
const whole = tiny();

/** Files with their pixels, or with what is wrong with them. */
const pngs: Readonly<Record<string, [file: Uint8Array, pixels: number[] | string]>> = {
  "2 bits": [png(header(3, 1, 2), data(0, 0b00_01_11_00)), [0, 85, 255]],
  "8 bits stored as 16": [sixteen((i) => 257 * (i + 7)), [7, 8, 9]],
  "a palette of greys": [paletted([[9, 9, 9], [3, 3, 3]]), [9, 3]],
  "a palette of colours": [paletted([[9, 9, 9], [3, 4, 3]]), [9, 9, 9, 3, 4, 3]],
  "opaque alpha": [alpha(255), [0, 1, 2, 4, 5, 6]],
  "opaque alpha of greys": [
    pngFile({ width: 2, height: 1, channels: 2 }, (i) => i % 2 === 1 ? 255 : 40 + i),
    [40, 42],
  ],
  "another value is transparent": [tiny(transparency(0, 6)), [5]],
  "another colour of the palette is transparent": [indexed(0, palette, transparency(255, 9)), [1, 2, 3]],
  "another value of 16 bits is transparent": [wide(6), [5]],
  "unknown optional chunks": [tiny(["teXt", new Uint8Array(9)]), [5]],
  "a transparent pixel": [alpha(254), "transparent"],
  "a value that is transparent": [tiny(transparency(0, 5)), "transparent"],
  "a value of 16 bits that is transparent": [wide(5), "transparent"],
  "a transparent colour of the palette": [indexed(1, palette, transparency(255, 9)), "transparent"],
  "16 bits": [sixteen((i) => 257 * i + 1), "16 bits per channel (expected 8)"],
  "one row too many": [png(header(8192, 4097), data()), "declares 4097x8192 pixels (expected 1 to 33554432"],
  "as many pixels as allowed, without data": [png(header(8192, 4096), data()), "the file is damaged"],
  "no pixels": [png(header(0, 5)), "declares 5x0 pixels"],
  "not a PNG": [new TextEncoder().encode("GIF89a, or anything else that is no PNG"), "not a PNG file"],
  "nothing": [new Uint8Array(0), "not a PNG file"],
  "a cut file": [whole.subarray(0, -20), "the file is damaged"],
  "no end": [whole.subarray(0, -12), "the file is damaged"],
  "more after the end": [Uint8Array.from([...whole, 0]), "the file is damaged"],
  "a wrong checksum": [whole.with(-14, whole.at(-14)! ^ 1), "the file is damaged"],
  "a second header": [tiny(header(65_500, 65_500)), "the file is damaged"],
  "a second header after the data": [png(header(1, 1), data(0, 5), header(65_500, 65_500)), "is damaged"],
  "a chunk before the header": [png(palette, header(1, 1), data(0, 5)), "not a PNG file"],
  "an unknown chunk that matters": [tiny(["ABCD", new Uint8Array(0)]), "the file is damaged"],
  "an unknown colour type": [png(header(1, 1, 8, 5), data(0, 0)), "the file is damaged"],
  "an unknown filter": [png(header(1, 1), data(5, 0)), "the file is damaged"],
  "a missing row": [png(header(2, 3), data(0, 5, 6, 0, 7, 8)), "the file is damaged"],
  "a row too many": [png(header(2, 1), data(0, 0, 0, 0, 0, 0)), "the file is damaged"],
  "no palette": [indexed(0), "the file is damaged"],
  "a colour outside the palette": [indexed(2, palette), "the file is damaged"],
};

Deno.test("decodePng() returns grey or colour in 8 bits if nothing is lost, else refuses in one line", () => {
  for (const [what, [bytes, expected]] of Object.entries(pngs)) {
    if (typeof expected === "string") {
      assert.throws(() => decodePng(bytes, "a.png"), (error: Error) => {
        assert.match(error.message, /^Cannot (read|use) a\.png: [^\n]+$/);
        return error.name === "DataError" && error.message.includes(expected);
      }, what);
    } else assert.deepEqual(decoded(bytes).pixels, expected, what);
  }
});

/** Damages an image as editors and attackers do: also inside of chunks, with correct checksums. */
function damagedImage(chunks: readonly Chunk[], random: Random): Uint8Array<ArrayBuffer> {
  const copy = [...chunks];
  const at = random(copy.length);
  const [name, content] = copy[at];
  switch (random(5)) {
    case 0:
      return mutateBytes(png(...copy), random);
    case 1:
      copy.splice(at, random(2), copy[random(copy.length)]);
      break;
    case 2:
      copy[at] = [name, content.with(random(content.length), random(256))];
      break;
    case 3:
      copy[at] = [name, mutateBytes(content, random)];
      break;
    default:
      copy[2] = data(...mutateBytes(inflateSync(copy[2][1]), random));
  }
  return png(...copy);
}

Deno.test("decodePng() takes every format and filter as pngjs does, and refuses damaged files in one line", () => {
  let refused = 0;
  for (let n = 0; n < 180; n++) {
    const random = randomOf(n);
    const chunks = randomImage(formats[n % formats.length], random(2), random);
    const file = png(...chunks);
    const { size: [channels], pixels } = decoded(file);
    const expected = [...PNG.sync.read(Buffer.from(file)).data].filter((_, i) => i % 4 < channels);
    assertSameNumbers(pixels, expected, `${n}`);
    try {
      decoded(damagedImage(chunks, random));
    } catch (error) {
      assert.ok(error instanceof Error && error.name === "DataError", `${n}: ${error}`);
      refused++;
    }
  }
  assert.ok(refused > 90, `${refused}`);
});

/** Pixels u8[C, H, W] as [H, W, C]. */
const channelsLast = (planes: Uint8Array, channels: number) => {
  const size = planes.length / channels;
  return Array.from(planes, (_, i) => planes[i % channels * size + Math.floor(i / channels)]);
};
/** A JPEG file whose Exif data, with one field, is in little-endian order instead of big-endian. */
function littleEndian(file: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const start = file.findIndex((_, i) => String.fromCharCode(...file.subarray(i, i + 6)) === "Exif\0\0") + 6;
  const swapped = file.slice();
  swapped.set([0x49, 0x49], start);
  const fields = [[2, 2], [4, 4], [8, 2], [10, 2], [12, 2], [14, 4], [18, 2]];
  for (const [at, bytes] of fields) swapped.subarray(start + at, start + at + bytes).reverse();
  return swapped;
}
/** Compares bytes with some in base64, one by one and on average. */
const assertNear = (found: ArrayLike<number>, base64: string, most: number, what: string) => {
  const expected = Uint8Array.fromBase64(base64);
  assert.equal(found.length, expected.length, what);
  const worst = Math.max(...Array.from(expected, (value, i) => Math.abs(value - found[i])));
  assert.ok(worst <= most, `${what}: ${worst}`);
  const bias = expected.reduce((sum, value, i) => sum + value - found[i], 0) / expected.length;
  assert.ok(Math.abs(bias) <= most / 10, `${what}: ${bias} on average`);
};

testNeeding(
  { read: true },
  "decodeJpeg() gives the pixels of another decoder, upright, baseline or progressive, grey or colour",
  async () => {
    for (const [name, { file, shape, pixels }] of Object.entries(vectors.jpegs)) {
      const bytes = Uint8Array.fromBase64(file);
      for (const variant of name === "orientation 6" ? [bytes, littleEndian(bytes)] : [bytes]) {
        const image = await decodeJpeg(variant, "a.jpg");
        assert.deepEqual([image.height, image.width, image.channels], shape, name);
        const { planes } = prepareImage(image, {});
        assertNear(channelsLast(planes, image.channels), pixels, 3, name);
      }
    }
  },
);

testNeeding({ read: true }, "decodeJpeg() refuses damaged and unusual files in one line", async () => {
  const { file, pixels } = vectors.jpegs.colour;
  const whole = Uint8Array.fromBase64(file);
  const markerAt = (marker: number) => whole.findIndex((byte, i) => byte === 0xff && whole[i + 1] === marker);
  const [scan, frame] = [markerAt(0xda), markerAt(0xc0)];
  const cases: Record<string, [bytes: Uint8Array<ArrayBuffer>, words: string]> = {
    "nothing": [new Uint8Array(0), "it is damaged or not a JPEG file"],
    "a PNG file": [Uint8Array.of(0x89, 0x50, 0x4e, 0x47), "it is damaged or not a JPEG file"],
    "half a file": [whole.slice(0, whole.length >> 1), "the file is damaged: Premature end of JPEG file"],
    "a header alone": [whole.slice(0, 100), "the file is damaged"],
    "no end": [whole.slice(0, -2), "the file is damaged"],
    "no image": [Uint8Array.of(0xff, 0xd8, 0xff, 0xd9), "the file is damaged"],
    "zeros in the image": [whole.slice().fill(0, scan + 40, scan + 240), "the file is damaged"],
    "too many pixels": [whole.with(frame + 5, 255).with(frame + 7, 255), "its header declares 65301x65317 "],
    "four inks": [Uint8Array.fromBase64(vectors.cmyk), "it has 4 channels (expected grey or red"],
  };
  for (const [what, [bytes, words]] of Object.entries(cases)) {
    await assert.rejects(decodeJpeg(bytes, "a.jpg"), (error: Error) => {
      assert.ok(error.message.startsWith(`Cannot read a.jpg: ${words}`), `${what}: ${error.message}`);
      return error.name === "DataError" && !error.message.includes("\n");
    });
  }
  const random = randomOf(1);
  for (let n = 0; n < 100; n++) {
    const bytes = whole.with(random(whole.length), random(256));
    await decodeJpeg(bytes, "a.jpg").catch((error) => assert.equal(error.name, "DataError", error.stack));
  }
  const image = await decodeJpeg(whole, "a.jpg");
  assertNear(image.bytes, pixels, 3, "the next file, after all these");
});

/** Pixels [21, 37, 3]. */
const photo: ImageView = {
  ...{ channels: 3, height: 21, width: 37, planeStep: 1, pixelStep: 3 },
  bytes: Uint8Array.fromBase64(vectors.resized.pixels),
};

Deno.test("prepareImage() scales and crops as Pillow does with antialiasing, and turns colours into grey and back", () => {
  const cases: [keyof typeof vectors.resized, ImagePreparation, channels: number][] = [
    ["pixels", {}, 3],
    ["pixels", { resize: [21, 37] }, 3],
    ["smaller", { resize: [8, 8] }, 3],
    ["larger", { resize: [50, 40] }, 3],
    ["centre", { resize: [8, 8], crop: "center" }, 3],
    ["grey", { resize: [8, 8], channels: 1 }, 1],
  ];
  for (const [name, preparation, channels] of cases) {
    const { planes, ...size } = prepareImage(photo, preparation);
    const [height, width] = preparation.resize ?? [21, 37];
    assert.deepEqual(size, { channels, height, width });
    const most = name === "pixels" ? 0 : 1;
    assertNear(
      channelsLast(planes, channels),
      vectors.resized[name],
      most,
      `${name} ${JSON.stringify(preparation)}`,
    );
  }
  const planar = { ...photo, bytes: prepareImage(photo, {}).planes, planeStep: 21 * 37, pixelStep: 1 };
  assert.deepEqual(prepareImage(planar, { resize: [5, 6] }), prepareImage(photo, { resize: [5, 6] }));
  const grey: ImageView = { ...planar, channels: 1 };
  const { channels, planes } = prepareImage(grey, { channels: 3 });
  assert.equal(channels, 3);
  for (const c of [0, 1, 2]) {
    assert.deepEqual(planes.subarray(c * 777, (c + 1) * 777), planar.bytes.subarray(0, 777));
  }
});
