import assert from "node:assert/strict";
import { decodeJpeg } from "../../../experiments/data/jpeg.ts";
import {
  type ImagePreparation,
  type ImageView,
  prepareImage,
} from "../../../experiments/data/prepare_image.ts";
import { testNeeding } from "../../permissions.ts";
import { randomOf } from "../mutations.ts";
import vectors from "../../vectors/images.json" with { type: "json" };

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
/**
 * A file whose marker FF 01, which has no length, hides the real header from a reader that gives it one: that lands in
 * the first segment, on a smaller frame.
 */
function twoHeaders(file: Uint8Array, frame: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(65_541 + file.length - 2);
  bytes.set([0xff, 0xd8, 0xff, 0x01, 0xff, 0xe0, 0xff, 0xff]);
  bytes.set(Uint8Array.from(file.subarray(frame, frame + 19)).with(6, 4).with(8, 4), 65_508);
  bytes.set([0xff, 0xda], 65_527);
  bytes.set(file.subarray(2), 65_541);
  return bytes;
}
/** A progressive file whose last scan is repeated. */
function withScans(file: Uint8Array, count: number): Uint8Array<ArrayBuffer> {
  const last = file.findLastIndex((byte, i) => byte === 0xff && file[i + 1] === 0xda);
  const copies = Array.from({ length: count }, () => file.subarray(last, -2));
  return Uint8Array.from([file.subarray(0, -2), ...copies, file.subarray(-2)].flatMap((part) => [...part]));
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
  const whole = Uint8Array.fromBase64(vectors.jpegs.colour.file);
  const scan = whole.findIndex((byte, i) => byte === 0xff && whole[i + 1] === 0xda);
  const frame = whole.findIndex((byte, i) => byte === 0xff && whole[i + 1] === 0xc0);
  const damaged = "Cannot read a.jpg: the file is damaged: ";
  const cases: Record<string, [bytes: Uint8Array<ArrayBuffer>, starts: string]> = {
    "nothing": [new Uint8Array(0), "Cannot read a.jpg: it is damaged or not a JPEG file"],
    "a PNG file": [
      Uint8Array.of(0x89, 0x50, 0x4e, 0x47),
      "Cannot read a.jpg: it is damaged or not a JPEG file",
    ],
    "half a file": [whole.slice(0, whole.length >> 1), `${damaged}the end is missing`],
    "a header alone": [whole.slice(0, 100), `${damaged}the end is missing`],
    "no end": [whole.slice(0, -2), `${damaged}the end is missing`],
    "no image": [Uint8Array.of(0xff, 0xd8, 0xff, 0xd9), `${damaged}the end is missing`],
    "zeros in the image": [whole.slice().fill(0, scan + 40, scan + 240), `${damaged}Corrupt JPEG data`],
    "too many pixels": [
      whole.with(frame + 5, 255).with(frame + 7, 255),
      "Cannot read a.jpg: its header declares 65301x65317 pixels (expected 1 to 33554432 of them); save it smaller",
    ],
    "a marker without a length": [
      twoHeaders(whole, frame),
      `${damaged}it has the marker ff01 (`,
    ],
    "two frames": [
      Uint8Array.of(...whole.subarray(0, scan), ...whole.subarray(frame)),
      `${damaged}it has two`,
    ],
    "scans without end": [
      withScans(Uint8Array.fromBase64(vectors.jpegs.progressive.file), 65),
      "Cannot use a.jpg: it has more than 64 scans",
    ],
    "four inks": [
      Uint8Array.fromBase64(vectors.cmyk),
      "Cannot read a.jpg: it has 4 channels (expected grey or red",
    ],
  };
  for (const [what, [bytes, starts]] of Object.entries(cases)) {
    await assert.rejects(decodeJpeg(bytes, "a.jpg"), (error: Error) => {
      assert.ok(error.name === "DataError" && error.message.startsWith(starts), `${what}: ${error.message}`);
      return !error.message.includes("\n");
    });
  }
  const random = randomOf(1);
  for (let n = 0; n < 300; n++) {
    const bytes = whole.with(random(whole.length), random(256));
    await decodeJpeg(bytes, "a.jpg").catch((error) =>
      assert.equal(error.name, "DataError", `${error.stack}`)
    );
  }
  const { pixels } = vectors.jpegs.colour;
  const image = await decodeJpeg(whole, "a.jpg");
  assertNear(image.bytes, pixels, 3, "the next file, after all these");
});

const wide: ImageView = {
  ...{ channels: 3, height: 21, width: 37, planeStep: 1, pixelStep: 3 },
  bytes: Uint8Array.fromBase64(vectors.resized.pixels),
};

Deno.test("prepareImage() scales and crops as Pillow does with antialiasing, and turns colours into grey", () => {
  const cases: [keyof typeof vectors.resized, ImagePreparation, channels: number][] = [
    ["pixels", {}, 3],
    ["pixels", { resize: [21, 37] }, 3],
    ["smaller", { resize: [8, 8] }, 3],
    ["larger", { resize: [50, 40] }, 3],
    ["centre", { resize: [8, 8], crop: "center" }, 3],
    ["grey", { resize: [8, 8], channels: 1 }, 1],
  ];
  for (const [name, preparation, channels] of cases) {
    const { planes, ...size } = prepareImage(wide, preparation);
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
});

Deno.test("prepareImage() reads planes, and converts grey images to colour", () => {
  const planar = { ...wide, bytes: prepareImage(wide, {}).planes, planeStep: 21 * 37, pixelStep: 1 };
  assert.deepEqual(prepareImage(planar, { resize: [5, 6] }), prepareImage(wide, { resize: [5, 6] }));
  const grey: ImageView = { ...planar, channels: 1 };
  const { channels, planes } = prepareImage(grey, { channels: 3 });
  assert.equal(channels, 3);
  for (const c of [0, 1, 2]) {
    assert.deepEqual(planes.subarray(c * 777, (c + 1) * 777), planar.bytes.subarray(0, 777));
  }
});
