import assert from "node:assert/strict";
import { encodeApng, type Raster } from "../../../viz/mod.ts";
import { testUnless } from "../../permissions.ts";
import { pythonWith } from "../../python.ts";

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

/** Scattered colours, and a part that is the same in all frames. */
function scatter(seed: number, width: number, height: number, opaque = true): Raster {
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
    for (
      const [width, height, opaque] of [[1, 1, true], [40, 30, true], [37, 23, false], [
        2,
        300,
        true,
      ]] as const
    ) {
      const frames = [0, 1, 1, 2, 300].map((seed) => scatter(seed, width, height, opaque));
      const process = new Deno.Command(python as string, {
        args: ["-c", reader],
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
      const writer = process.stdin.getWriter();
      await writer.write(encodeApng(frames, { delay: 40, hold: 900 }));
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

Deno.test("encodeApng() rejects no frames, frames of other sizes, and durations out of range", () => {
  assert.throws(() => encodeApng([]), {
    name: "RangeError",
    message: "Cannot encode APNG: no frames given (expected at least 1)",
  });
  assert.throws(() => encodeApng([scatter(0, 2, 3), scatter(0, 3, 2)]), /frame 1 is 3 wide and 2 high/);
  assert.throws(
    () => encodeApng([scatter(0, 1, 1)], { delay: 1 }),
    /delay is 1 ms \(expected 20 to 65535 ms\)/,
  );
  assert.throws(
    () => encodeApng([scatter(0, 1, 1)], { hold: 70_000 }),
    /hold is 70000 ms \(expected 20 to 65535 ms\)/,
  );
});
