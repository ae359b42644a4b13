import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { crc32, deflateSync } from "node:zlib";
import { type ImagePreparation, type ImageView, prepareImage } from "../../../experiments/data/images.ts";
import { decodeJpeg, decodePng } from "../../../experiments/data/picture_formats.ts";
import { testNeeding } from "../../permissions.ts";
import { upTo } from "../../refusing.ts";
import vectors from "../../vectors/images.json" with { type: "json" };
import { mutateBytes, randomOf } from "../mutations.ts";
import { pngFile } from "./tiny_png.ts";

type Chunk = readonly [name: string, data: Uint8Array];

function header(width: number, height: number, depth = 8, type = 0, interlaced = 0): Chunk {
  const data = Buffer.alloc(13);
  data.writeUInt32BE(width);
  data.writeUInt32BE(height, 4);
  data.set([depth, type, 0, 0, interlaced], 8);
  return ["IHDR", data];
}
const data = (...bytes: number[]): Chunk => ["IDAT", deflateSync(Uint8Array.from(bytes))];

/** A PNG file made of chunks, with their checksums and its end. */
function png(...list: readonly Chunk[]): Uint8Array<ArrayBuffer> {
  const u32 = (value: number) => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255);
  const bytes = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
  for (const [name, data] of [...list, ["IEND", new Uint8Array(0)] as const]) {
    const named = Buffer.concat([new TextEncoder().encode(name), data]);
    bytes.push(...u32(data.length), ...named, ...u32(crc32(named)));
  }
  return Uint8Array.from(bytes);
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
/** 3x3 grey pixels in rows with each filter: none, left and above; interlaced, in seven passes of which four have pixels. */
const filtered = png(header(3, 3), data(0, 1, 2, 3, 1, 4, 1, 1, 2, 3, 3, 3));
const interlaced = png(header(3, 3, 8, 0, 1), data(0, 1, 0, 3, 0, 7, 9, 0, 2, 0, 8, 0, 4, 5, 6));

/** Files with their pixels, or with what is wrong with them. */
const pngs: Readonly<Record<string, [file: Uint8Array, pixels: number[] | string]>> = {
  "filters": [filtered, [1, 2, 3, 4, 5, 6, 7, 8, 9]],
  "interlaced": [interlaced, [1, 2, 3, 4, 5, 6, 7, 8, 9]],
  "1 bit": [png(header(3, 1, 1), data(0, 0b011_00000)), [0, 255, 255]],
  "2 bits": [png(header(3, 1, 2), data(0, 0b00_01_11_00)), [0, 85, 255]],
  "4 bits": [png(header(3, 1, 4), data(0, 0x0f, 0x10)), [0, 255, 17]],
  "4 bits of a palette": [png(header(2, 1, 4, 3), palette, data(0, 0x10)), [4, 5, 6, 1, 2, 3]],
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

/** Asserts that an error is one line that says which file cannot be used, and why. */
const isRefusal = (words: string, what: string) => ({ name, message }: Error) => {
  assert.match(message, /^Cannot (read|use) a\.(png|jpg): [^\n]+$/, what);
  return name === "DataError" && message.includes(words);
};

Deno.test("decodePng() returns grey or colour in 8 bits if nothing is lost, else refuses in one line", () => {
  for (const [what, [bytes, expected]] of Object.entries(pngs)) {
    if (typeof expected === "string") {
      assert.throws(() => decodePng(bytes, "a.png"), isRefusal(expected, what), what);
    } else assert.deepEqual([...decodePng(bytes, "a.png").bytes], expected, what);
  }
  // Damaged as by disks, and by editors that write correct checksums.
  const random = randomOf(46020);
  const contents = [header(3, 3), header(3, 3, 8, 0, 1), palette, data(...upTo(12)), transparency(1, 2)];
  for (let n = 0; n < 400; n++) {
    const [name, content] = contents[random(contents.length)];
    const changed = [name, content.with(random(content.length), random(256))] as const;
    const chunks = [header(3, 3), palette, data(...upTo(12))].with(random(3), changed);
    const bytes = n % 2 ? png(...chunks) : mutateBytes(interlaced, random);
    try {
      decodePng(bytes, "a.png");
    } catch (error) {
      assert.equal((error as Error).name, "DataError", `${n}: ${error}`);
    }
  }
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
  "decodeJpeg() gives the pixels of another decoder, upright, of any kind",
  async () => {
    for (const [name, { file, shape, pixels }] of Object.entries(vectors.jpegs)) {
      const bytes = Uint8Array.fromBase64(file);
      for (const variant of name === "orientation 6" ? [bytes, littleEndian(bytes)] : [bytes]) {
        const image = await decodeJpeg(variant, "a.jpg");
        assert.deepEqual([image.height, image.width, image.channels], shape, name);
        assertNear(channelsLast(prepareImage(image, {}).planes, image.channels), pixels, 3, name);
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
    await assert.rejects(decodeJpeg(bytes, "a.jpg"), isRefusal(words, what), what);
  }
  const random = randomOf(1);
  for (let n = 0; n < 60; n++) {
    const bytes = whole.with(random(whole.length), random(256));
    await decodeJpeg(bytes, "a.jpg").catch((error) => assert.equal(error.name, "DataError", error.stack));
  }
  assertNear((await decodeJpeg(whole, "a.jpg")).bytes, pixels, 3, "the next file, after all these");
});

/** Pixels [21, 37, 3]. */
const photo: ImageView = {
  ...{ channels: 3, height: 21, width: 37, planeStep: 1, pixelStep: 3 },
  bytes: Uint8Array.fromBase64(vectors.resized.pixels),
};

Deno.test("prepareImage() scales and crops as Pillow does with antialiasing, and turns colours into grey and back", () => {
  const cases: [keyof typeof vectors.resized, ImagePreparation, channels: number][] = [
    ["pixels", { resize: [21, 37] }, 3],
    ["smaller", { resize: [8, 8] }, 3],
    ["larger", { resize: [50, 40] }, 3],
    ["centre", { resize: [8, 8], crop: "center" }, 3],
    ["grey", { resize: [8, 8], channels: 1 }, 1],
  ];
  for (const [name, preparation, channels] of cases) {
    const { planes, ...size } = prepareImage(photo, preparation);
    const [height, width] = preparation.resize!;
    assert.deepEqual(size, { channels, height, width });
    assertNear(channelsLast(planes, channels), vectors.resized[name], name === "pixels" ? 0 : 1, name);
  }
  const planar = { ...photo, bytes: prepareImage(photo, {}).planes, planeStep: 21 * 37, pixelStep: 1 };
  assert.deepEqual(prepareImage(planar, { resize: [5, 6] }), prepareImage(photo, { resize: [5, 6] }));
  const { channels, planes } = prepareImage({ ...planar, channels: 1 }, { channels: 3 });
  assert.equal(channels, 3);
  for (const c of upTo(3)) {
    assert.deepEqual(planes.subarray(c * 777, (c + 1) * 777), planar.bytes.subarray(0, 777));
  }
});
