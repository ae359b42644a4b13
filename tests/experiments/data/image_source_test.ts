import assert from "node:assert/strict";
import { ImageSource, normalizationTo } from "../../../experiments/data/image_source.ts";
import { tensor } from "../../../kernels/mod.ts";
import { assertClose, testOnDevices } from "../../testing.ts";

for (const channels of [1, 3]) {
  const size = { channels, height: 3, width: 5 };
  const values = channels * 15;
  testOnDevices(`ImageSource returns normalised batches of ${channels} channels`, async () => {
    const bytes = Uint8Array.from({ length: 4 * values }, (_, i) => i * 37 % 256);
    const source = new ImageSource(bytes, size, normalizationTo("-1..1"));
    assert.deepEqual(source.shape, [channels, 3, 5]);
    assert.deepEqual(source.info, { normalization: { scale: 2, shift: -1 }, imageSize: [3, 5] });
    const { x1 } = source.batch(tensor(Uint32Array.of(3, 0)));
    assert.deepEqual(x1.shape, [2, channels, 3, 5]);
    const expected = [...bytes.subarray(3 * values), ...bytes.subarray(0, values)];
    const normalised = expected.map((byte) => byte / 127.5 - 1);
    assertClose(await x1.read(), normalised, 1e-6);
    assertClose(source.host.values(Uint32Array.of(3, 0)), normalised, 1e-6);
  });
}

testOnDevices("ImageSource returns labels with the images, if it has any", async () => {
  const size = { channels: 1, height: 1, width: 2 };
  const bytes = Uint8Array.from({ length: 8 }, (_, i) => i);
  const indices = tensor(Uint32Array.of(3, 0, 3));
  const plain = new ImageSource(bytes, size, normalizationTo("0..1"));
  assert.deepEqual([plain.classes, plain.batch(indices).condition], [0, undefined]);
  const labels = { values: Uint8Array.of(7, 200, 3, 255), classes: 256 };
  const labelled = new ImageSource(bytes, size, normalizationTo("0..1"), labels);
  const { condition, x1 } = labelled.batch(indices);
  assertClose(await x1.read(), [6, 7, 0, 1, 6, 7].map((byte) => byte / 255), 1e-7);
  assert.equal(labelled.classes, 256);
  assert.deepEqual([condition!.type, [...await condition!.read()]], ["u32", [255, 7, 255]]);
  assert.deepEqual([...labelled.host.labels!(Uint32Array.of(3, 0))], [255, 7]);
});
