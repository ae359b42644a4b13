import assert from "node:assert/strict";
import { firstIndices } from "../../../experiments/data/dataset.ts";
import { ImageSource } from "../../../experiments/data/image_source.ts";
import { normalizationTo } from "../../../experiments/cli/training.ts";
import { createModel, HeldOutLoss, type NoiseDraw, Trainer } from "../../../models/mod.ts";
import { upTo } from "../../refusing.ts";
import { testOnDevices } from "../../testing.ts";
import { assertSameNumbers } from "../../same_numbers.ts";

const [C, H, W, count] = [3, 4, 5, 6];
const P = C * H * W;
const size = { channels: C, height: H, width: W };
const bytes = Uint8Array.from({ length: count * P }, (_, i) => i * 89 % 256);
const labels = { values: Uint8Array.from({ length: count }, (_, n) => n % 3), classes: 3 };
const normalization = normalizationTo("0..1");
const images = () => new ImageSource(bytes, size, normalization, labels);
/** All images that moving one may give, by how it is moved: mirrored, down, right. */
function variants(example: number, shift: number, flip: boolean): Map<string, string> {
  const inside = (at: number, length: number) => Math.min(Math.max(at, 0), length - 1);
  const by = upTo(2 * shift + 1).map((n) => n - shift);
  const all = (flip ? [false, true] : [false]).flatMap((mirrored) =>
    by.flatMap((down) =>
      by.map((right): [string, string] => {
        const moved = upTo(P).map((i) => {
          const [c, h, w] = [Math.floor(i / (H * W)), Math.floor(i / W) % H, i % W];
          const column = inside(w - right, W);
          return bytes[
            ((example * C + c) * H + inside(h - down, H)) * W + (mirrored ? W - 1 - column : column)
          ];
        });
        return [`${moved}`, `${[mirrored, down, right]}`];
      })
    )
  );
  return new Map(all);
}

testOnDevices("augmented() mirrors and shifts images depending only on seed, step and image", async () => {
  for (const [flip, shift, kinds] of [[true, 0, 2], [false, 1, 9], [true, 1, 18]] as const) {
    const source = images().augmented({ flip, shift });
    const staged = source.stage(count);
    const draw = async (examples: Uint32Array, at: NoiseDraw) => {
      staged.write(examples, at);
      const { x1, condition } = staged.batch();
      assert.deepEqual([...await condition!.read()], [...examples].map((n) => n % 3));
      const values = Array.from(await x1.read(), (value) => Math.round(255 * value));
      const ofHost = Array.from(source.host!.values(examples, at), (value) => Math.round(255 * value));
      assertSameNumbers(ofHost, values, "couplings see the same");
      return upTo(examples.length).map((n) => `${values.slice(n * P, (n + 1) * P)}`);
    };
    const order = firstIndices(count);
    const seen = new Map<string, number>();
    for (let step = 0; step < 60; step++) {
      const rows = await draw(order, { seed: 5, step });
      rows.forEach((row, n) => {
        const how = variants(n, shift, flip).get(row);
        assert.ok(how !== undefined, `${flip} ${shift}: ${row}`);
        seen.set(how, (seen.get(how) ?? 0) + 1);
      });
    }
    assert.equal(seen.size, kinds);
    assert.ok([...seen.values()].every((times) => times > 360 / kinds / 3), "all are as likely");
    const first = await draw(order, { seed: 5, step: 7 });
    const reversed = await draw(order.toReversed(), { seed: 5, step: 7 });
    assertSameNumbers(reversed.toReversed(), first, "whatever their order is");
    assert.notDeepEqual(await draw(order, { seed: 6, step: 7 }), first);
  }
  const plain = images();
  assert.equal(plain.augmented({ flip: false, shift: 0 }), plain);
});

testOnDevices("images that change at random train a network, and plain ones measure it", async () => {
  const options = { batchSize: 4, seed: 3, learningRate: 1e-2 };
  const source = images();
  const model = createModel({ type: "UNet_FM", filters: [4, 4], tEmb: 4, channels: C, classes: 3 }, 1);
  const heldOut = new HeldOutLoss(model, source, options);
  const before = await heldOut.losses(firstIndices(count));
  const trainer = new Trainer(model, source.augmented({ flip: true, shift: 1 }), options);
  assert.ok(trainer.plan(2).bytes > 0);
  for (let step = 0; step < 3; step++) trainer.queueStep(Uint32Array.of(step, 5, 1, 3), 1e-2);
  assert.ok((await trainer.losses()).every(Number.isFinite));
  assert.notDeepEqual((await heldOut.losses(firstIndices(count))).loss, before.loss);
});
