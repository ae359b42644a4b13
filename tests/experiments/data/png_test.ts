import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { join } from "node:path";
import { crc32, deflateSync } from "node:zlib";
// @ts-types="npm:@types/pngjs@6.0.5"
import { PNG } from "npm:pngjs@7.0.0";
import { decodePng } from "../../../experiments/data/png.ts";
import { withFolder } from "../../folder.ts";
import { testNeeding } from "../../permissions.ts";
import { mutateBytes, randomOf } from "../mutations.ts";
import { pngFile } from "./tiny_png.ts";

const decoded = (bytes: Uint8Array) => {
  const { channels, height, width, pixels } = decodePng(bytes, "a.png");
  return { size: [channels, height, width], pixels: [...pixels] };
};
const counting = (length: number, step: number) => Array.from({ length }, (_, i) => step * i);

Deno.test("decodePng() decodes grey and colour, interlaced or not", () => {
  for (const interlace of ["null", "Adam7"] as const) {
    const grey = pngFile({ width: 5, height: 3 }, (i) => 17 * i, { interlace });
    assert.deepEqual(decoded(grey), { size: [1, 3, 5], pixels: counting(15, 17) });
    const colour = pngFile({ width: 3, height: 2, channels: 3 }, (i) => 11 * i, { interlace });
    assert.deepEqual(decoded(colour), { size: [3, 2, 3], pixels: counting(18, 11) });
  }
});

Deno.test("decodePng() agrees with another decoder on every format and filter", () => {
  const random = randomOf(46020);
  // Small values make ties between neighbours.
  const bytesOf = (length: number, most = [4, 256][random(2)]) =>
    Uint8Array.from({ length }, () => random(most));
  for (const [type, depth] of [[0, 1], [0, 2], [0, 4], [0, 8], [2, 8], [3, 1], [3, 2], [3, 4], [3, 8]]) {
    for (const interlaced of [0, 1, 0, 1]) {
      const [width, height] = [1 + random(20), 1 + random(20)];
      const passes = interlaced ? adam7 : [[0, 0, 1, 1]];
      const lines = passes.flatMap(([x, y, dx, dy]) => {
        const columns = Math.ceil((width - x) / dx);
        const bytes = Math.ceil(columns * (type === 2 ? 3 : 1) * depth / 8);
        const rows = columns > 0 ? Math.ceil((height - y) / dy) : 0;
        return Array.from({ length: rows }, () => [random(5), ...bytesOf(bytes)]);
      });
      const file = chunks([
        header(width, height, depth, type, interlaced),
        ["PLTE", bytesOf(3 * 2 ** depth, 256)],
        ["IDAT", deflateSync(Uint8Array.from(lines.flat()))],
      ]);
      const { size: [channels], pixels } = decoded(file);
      const expected = [...PNG.sync.read(Buffer.from(file)).data].filter((_, i) => i % 4 < channels);
      assert.deepEqual(pixels, expected, `colour type ${type}, ${depth} bits, interlaced ${interlaced}`);
    }
  }
});

Deno.test("decodePng() scales few bits to the full range, and accepts 8 bits stored as 16", () => {
  const file = chunks([header(3, 1, 2, 0, 0), ["IDAT", deflateSync(Uint8Array.of(0, 0b00_01_11_00))]]);
  assert.deepEqual(decoded(file).pixels, [0, 85, 255]);
  const sixteen = pngFile({ width: 3, height: 1, depth: 16 }, (i) => 257 * (i + 7));
  assert.deepEqual(decoded(sixteen).pixels, [7, 8, 9]);
});

Deno.test("decodePng() treats a palette of greys as grey, and others as colour", () => {
  const paletted = (palette: number[][]) => decoded(pngFile({ width: 2, height: 1, palette }, (i) => i));
  assert.deepEqual(paletted([[9, 9, 9], [3, 3, 3]]), { size: [1, 1, 2], pixels: [9, 3] });
  assert.deepEqual(paletted([[9, 9, 9], [3, 4, 3]]), { size: [3, 1, 2], pixels: [9, 9, 9, 3, 4, 3] });
});

const alpha = (last: number) =>
  pngFile({ width: 2, height: 1, channels: 4 }, (i) => i === 7 ? last : i % 4 === 3 ? 255 : i);

Deno.test("decodePng() drops alpha if all pixels are opaque", () => {
  assert.deepEqual(decoded(alpha(255)), { size: [3, 1, 2], pixels: [0, 1, 2, 4, 5, 6] });
  const greyAlpha = pngFile({ width: 2, height: 1, channels: 2 }, (i) => i % 2 === 1 ? 255 : 40 + i);
  assert.deepEqual(decoded(greyAlpha), { size: [1, 1, 2], pixels: [40, 42] });
  assert.deepEqual(decoded(tiny(["tRNS", Uint8Array.of(0, 6)])).pixels, [5], "another value is transparent");
});

/** One grey pixel of value 5, with chunks before its data. */
const tiny = (...more: Chunk[]) =>
  chunks([header(1, 1, 8, 0, 0), ...more, ["IDAT", deflateSync(Uint8Array.of(0, 5))]]);
const indexed = (index: number, ...more: Chunk[]) =>
  chunks([header(1, 1, 8, 3, 0), ...more, ["IDAT", deflateSync(Uint8Array.of(0, index))]]);
const palette: Chunk = ["PLTE", Uint8Array.of(1, 2, 3, 4, 5, 6)];
const data = (...bytes: number[]): Chunk => ["IDAT", deflateSync(Uint8Array.from(bytes))];

const transparent =
  "Cannot use a.png: it has transparent pixels (expected opaque ones); save it on a background";
const damaged = "Cannot read a.png: the file is damaged (expected a whole PNG image); replace or remove it";
const notPng =
  "Cannot read a.png: it is damaged or not a PNG file (expected PNG, as its name says); save it again as PNG";
const sixteenBits = "Cannot use a.png: it has 16 bits a channel (expected 8); save it with 8";
const declares = (size: string) =>
  `Cannot read a.png: its header declares ${size} pixels (expected 1 to 4194304 of them); save it smaller`;

Deno.test("decodePng() refuses unusable files in one line", () => {
  const whole = tiny();
  assert.deepEqual(decoded(whole).pixels, [5]);
  const cases: Record<string, [Uint8Array, string]> = {
    "a transparent pixel": [alpha(254), transparent],
    "a value that is transparent": [tiny(["tRNS", Uint8Array.of(0, 5)]), transparent],
    "a transparent colour of the palette": [
      indexed(1, palette, ["tRNS", Uint8Array.of(255, 9)]),
      transparent,
    ],
    "16 bits": [pngFile({ width: 3, height: 1, depth: 16 }, (i) => 257 * i + 1), sixteenBits],
    "too many pixels": [chunks([header(65_500, 65_500, 8, 0, 0), data()]), declares("65500x65500")],
    "one row too many": [chunks([header(2048, 2049, 8, 0, 0), data()]), declares("2049x2048")],
    "as many pixels as allowed, without data": [chunks([header(2048, 2048, 8, 0, 0), data()]), damaged],
    "no pixels": [chunks([header(0, 5, 8, 0, 0)]), declares("5x0")],
    "no PNG": [new TextEncoder().encode("GIF89a, or anything else that is no PNG"), notPng],
    "nothing": [new Uint8Array(0), notPng],
    "a cut file": [whole.subarray(0, -20), damaged],
    "no end": [whole.subarray(0, -12), damaged],
    "more after the end": [Uint8Array.from([...whole, 0]), damaged],
    "a wrong checksum": [whole.with(-14, whole.at(-14)! ^ 1), damaged],
    "two headers": [tiny(header(1, 1, 8, 0, 0)), damaged],
    "an unknown chunk that matters": [tiny(["ABCD", new Uint8Array(0)]), damaged],
    "an unknown colour type": [chunks([header(1, 1, 8, 5, 0), data(0, 0)]), damaged],
    "depth of another colour type": [chunks([header(1, 1, 4, 2, 0), data(0, 0, 0)]), damaged],
    "an unknown filter": [chunks([header(1, 1, 8, 0, 0), data(5, 0)]), damaged],
    "too little data": [chunks([header(2, 1, 8, 0, 0), data(0, 0)]), damaged],
    "too much data": [chunks([header(2, 1, 8, 0, 0), data(0, 0, 0, 0)]), damaged],
    "no palette": [indexed(0), damaged],
    "a colour outside the palette": [indexed(2, palette), damaged],
  };
  for (const [what, [bytes, message]] of Object.entries(cases)) {
    assert.throws(() => decodePng(bytes, "a.png"), { name: "DataError", message }, what);
  }
});

Deno.test("decodePng() decodes or refuses damaged files in one line", () => {
  const whole = pngFile({ width: 9, height: 7, channels: 3 });
  let refused = 0;
  for (let n = 0; n < 1000; n++) {
    try {
      decodePng(mutateBytes(whole, randomOf(n)), "a.png");
    } catch (error) {
      assert.ok(error instanceof Error && error.name === "DataError", `${n}: ${error}`);
      assert.match(error.message, /^Cannot (read|use) a\.png: [^\n]+$/);
      refused++;
    }
  }
  assert.ok(refused > 500, `${refused}`);
});

/** A program that decodes files and prints by how many bytes memory grew; run separately to keep other work out. */
const decoding = `
  import { decodePng } from ${JSON.stringify(import.meta.resolve("../../../experiments/data/png.ts"))};
  const before = Deno.memoryUsage().rss;
  for (const path of Deno.args) {
    try {
      decodePng(Deno.readFileSync(path), "a.png");
    } catch (error) {
      console.log(error.message);
    }
  }
  console.log(Deno.memoryUsage().rss - before);
`;

testNeeding(
  { read: true, write: true, run: true },
  "decodePng() unpacks no more than the header declares",
  () =>
    withFolder(async (folder) => {
      const bomb: Chunk = ["IDAT", deflateSync(new Uint8Array(2 ** 27))]; // 128 MiB in 128 KiB
      const paths = [0, 1].map((interlaced) => {
        const path = join(folder, `${interlaced}.png`);
        Deno.writeFileSync(path, chunks([header(2, 1, 8, 0, interlaced), bomb]));
        return path;
      });
      const args = ["eval", "--quiet", "--no-lock", decoding, "--", ...paths];
      const { stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
      const lines = new TextDecoder().decode(stdout).trimEnd().split("\n");
      assert.deepEqual(lines.slice(0, 2), [damaged, damaged], new TextDecoder().decode(stderr));
      assert.ok(Number(lines[2]) < 2 ** 26, lines[2]);
    }),
);

type Chunk = readonly [name: string, data: Uint8Array];

/** First column and row of each pass of an interlaced image, with its column and row steps. */
const adam7 = ["0088", "4088", "0448", "2044", "0224", "1022", "0112"].map((pass) =>
  Array.from(pass, Number)
);

function header(width: number, height: number, depth: number, type: number, interlaced: number): Chunk {
  const data = new Uint8Array(13);
  const view = new DataView(data.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  data.set([depth, type, 0, 0, interlaced], 8);
  return ["IHDR", data];
}

/** A PNG file made of chunks, with their checksums. */
function chunks(list: readonly Chunk[]): Uint8Array<ArrayBuffer> {
  const bytes = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
  const u32 = (value: number) => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255);
  for (const [name, data] of [...list, ["IEND", new Uint8Array(0)] as const]) {
    const named = [...new TextEncoder().encode(name), ...data];
    bytes.push(...u32(data.length));
    for (const byte of named) bytes.push(byte);
    bytes.push(...u32(crc32(Uint8Array.from(named))));
  }
  return Uint8Array.from(bytes);
}
