import assert from "node:assert/strict";
import { join } from "node:path";
import { crc32, deflateSync } from "node:zlib";
import { decodePng } from "../../../experiments/data/decode_png.ts";
import { withFolder } from "../../folder.ts";
import { testNeeding } from "../../permissions.ts";
import { mutateBytes, randomOf } from "../mutations.ts";
import { pngFile } from "./tiny_png.ts";

/** Red, green and blue of all pixels. */
const colours = (bytes: Uint8Array) => [...decodePng(bytes, "a.png").rgba].filter((_, i) => i % 4 < 3);
const channelsOf = (bytes: Uint8Array) => decodePng(bytes, "a.png").channels;
const thrice = (values: readonly number[]) => values.flatMap((value) => [value, value, value]);

Deno.test("decodePng() decodes grey and colour, interlaced or not", () => {
  for (const interlace of ["null", "Adam7"] as const) {
    const grey = pngFile({ width: 5, height: 3 }, (i) => 17 * i, { interlace });
    const { channels, height, width } = decodePng(grey, "a.png");
    assert.deepEqual([channels, height, width], [1, 3, 5]);
    assert.deepEqual(colours(grey), thrice(Array.from({ length: 15 }, (_, i) => 17 * i)));
    const colour = pngFile({ width: 3, height: 2, channels: 3 }, (i) => 11 * i, { interlace });
    assert.equal(channelsOf(colour), 3);
    assert.deepEqual(colours(colour), Array.from({ length: 18 }, (_, i) => 11 * i));
  }
});

Deno.test("decodePng() gives few bits the whole range, and takes 16 bits that were 8", () => {
  for (const [depth, scale] of [[1, 255], [2, 85], [4, 17]] as const) {
    const most = 2 ** depth;
    const bytes = packed(depth, most);
    assert.deepEqual(colours(bytes), thrice(Array.from({ length: most }, (_, i) => i * scale)), `${depth}`);
  }
  const sixteen = pngFile({ width: 3, height: 1, depth: 16 }, (i) => 257 * (i + 7));
  assert.deepEqual(colours(sixteen), thrice([7, 8, 9]));
  assert.throws(() => decodePng(pngFile({ width: 3, height: 1, depth: 16 }, (i) => 257 * i + 1), "a.png"), {
    name: "DataError",
    message: "Cannot use a.png: it has 16 bits a channel (expected 8); save it with 8",
  });
});

Deno.test("decodePng() takes a palette of greys as grey, and others as colour", () => {
  const paletted = (palette: number[][]) => pngFile({ width: 2, height: 1, palette }, (i) => i);
  assert.deepEqual(
    [channelsOf(paletted([[9, 9, 9], [3, 3, 3]])), colours(paletted([[9, 9, 9], [3, 3, 3]]))],
    [
      1,
      [9, 9, 9, 3, 3, 3],
    ],
  );
  assert.deepEqual(
    [channelsOf(paletted([[9, 9, 9], [3, 4, 3]])), colours(paletted([[9, 9, 9], [3, 4, 3]]))],
    [
      3,
      [9, 9, 9, 3, 4, 3],
    ],
  );
});

Deno.test("decodePng() drops alpha where all pixels are opaque, else refuses", () => {
  const alpha = (last: number) =>
    pngFile({ width: 2, height: 1, channels: 4 }, (i) => i === 7 ? last : i % 4 === 3 ? 255 : i);
  assert.deepEqual([channelsOf(alpha(255)), colours(alpha(255))], [3, [0, 1, 2, 4, 5, 6]]);
  const greyAlpha = pngFile({ width: 2, height: 1, channels: 2 }, (i) => i % 2 === 1 ? 255 : 40 + i);
  assert.deepEqual([channelsOf(greyAlpha), colours(greyAlpha)], [1, [40, 40, 40, 42, 42, 42]]);
  assert.throws(() => decodePng(alpha(254), "a.png"), {
    name: "DataError",
    message: "Cannot use a.png: it has transparent pixels (expected opaque ones); save it on a background",
  });
});

Deno.test("decodePng() refuses too many pixels by the header alone", () => {
  const large = chunks([header(65_500, 65_500, 8, 0), ["IDAT", new Uint8Array(0)]]);
  assert.throws(() => decodePng(large, "a.png"), {
    name: "DataError",
    message:
      "Cannot read a.png: its header declares 65500x65500 pixels (expected 1 to 4194304 of them); save it smaller",
  });
  assert.throws(() => decodePng(chunks([header(0, 5, 8, 0)]), "a.png"), /its header declares 5x0 pixels/);
});

/** Tries to decode files, and tells how many bytes the program grew by: in one of its own, where nothing else runs. */
const decoding = `
  import { decodePng } from ${JSON.stringify(import.meta.resolve("../../../experiments/data/decode_png.ts"))};
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
  "decodePng() unpacks no more than the header tells",
  () =>
    withFolder(async (folder) => {
      const bomb: Chunk = ["IDAT", deflateSync(new Uint8Array(2 ** 27))]; // 128 MiB in 128 KiB
      const paths = [0, 1].map((interlace) => {
        const path = join(folder, `${interlace}.png`);
        Deno.writeFileSync(path, chunks([header(2, 1, 8, interlace), bomb]));
        return path;
      });
      const args = ["eval", "--quiet", "--no-lock", decoding, "--", ...paths];
      const { stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
      const lines = new TextDecoder().decode(stdout).trimEnd().split("\n");
      assert.equal(lines.length, 3, new TextDecoder().decode(stderr));
      for (const line of lines.slice(0, 2)) assert.match(line, /the file is damaged/);
      assert.ok(Number(lines[2]) < 2 ** 26, lines[2]);
    }),
);

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
  assert.throws(() => decodePng(whole.subarray(0, -20), "a.png"), {
    message: "Cannot read a.png: the file is damaged (expected a whole PNG image); replace or remove it",
  });
  assert.throws(
    () => decodePng(new TextEncoder().encode("GIF89a, or anything else that is no PNG"), "a.png"),
    {
      message:
        "Cannot read a.png: it is damaged or not a PNG file (expected PNG, as its name says); save it again as PNG",
    },
  );
});

type Chunk = readonly [name: string, data: Uint8Array];

function header(width: number, height: number, depth: number, interlace: number): Chunk {
  const data = new Uint8Array(13);
  const view = new DataView(data.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  data.set([depth, 0, 0, 0, interlace], 8);
  return ["IHDR", data];
}

/** A PNG file of chunks, with their checksums. */
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

/** A grey PNG of one row that holds 0, 1, 2, ... in few bits. */
function packed(depth: 1 | 2 | 4, count: number): Uint8Array<ArrayBuffer> {
  const row = new Uint8Array(1 + Math.ceil(count * depth / 8));
  for (let i = 0; i < count; i++) {
    const bit = i * depth;
    row[1 + (bit >> 3)] |= i << (8 - depth - bit % 8);
  }
  return chunks([header(count, 1, depth, 0), ["IDAT", deflateSync(row)]]);
}
