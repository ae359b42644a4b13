import assert from "node:assert/strict";
import { join } from "node:path";
import { distillationStages, PairStore } from "../../../experiments/training/distillation.ts";
import {
  add,
  gatherRows,
  init,
  multiply,
  reshape,
  type Tensor,
  tensor,
  withDevice,
} from "../../../kernels/mod.ts";
import { batchOf, batchSource, createModel } from "../../../models/mod.ts";
import { testInFolder } from "../../folder.ts";
import { upTo } from "../../refusing.ts";
import { assertSameNumbers } from "../../same_numbers.ts";
import { testOnCpu } from "../../testing.ts";

const [count, classes] = [300, 3]; // in two files of 256, which is no multiple of the classes

/** Moves each image by twice the label. */
const field = {
  velocity: (x: Tensor, _t: Tensor, label?: Tensor) =>
    add(multiply(x, 0), reshape(gatherRows(tensor([0, 2, 4]), label!), [x.shape[0], 1, 1, 1])),
};

testInFolder(
  "PairStore draws each pair by its own class, in every file, and reads what is stored",
  async (folder) => {
    const device = await init({ device: "cpu", threads: 1 });
    await withDevice(device, async () => {
      const fill = async () => {
        const done: number[] = [];
        const store = new PairStore(count, [1, 1, 2], classes, 5);
        const all = {
          signal: new AbortController().signal,
          onProgress: (pairs: number) => void done.push(pairs),
        };
        assert.ok(await store.fill(folder, field, 1, all));
        assert.deepEqual(done, [256, 300]);
        const { x0, x1, condition } = batchOf(store.source, Uint32Array.from(upTo(count)));
        assert.deepEqual([...await condition!.readWords()], upTo(count).map((row) => row % classes));
        return { noise: await x0!.read(), images: await x1.read() };
      };
      const { noise, images } = await fill();
      const moved = [...images].map((value, i) => Math.round(value - noise[i]));
      assert.deepEqual(moved, upTo(2 * count).map((i) => 2 * (Math.floor(i / 2) % classes)));
      const [first, second] = [...Deno.readDirSync(join(folder, "pairs"))].map(({ name }) => name).sort();
      await Deno.remove(join(folder, "pairs", second));
      const kept = await Deno.stat(join(folder, "pairs", first));
      assertSameNumbers((await fill()).images, images);
      assert.deepEqual((await Deno.stat(join(folder, "pairs", first))).mtime, kept.mtime);
    });
    device.close();
  },
);

testOnCpu("a drift stage trains `whole` whole steps before each shorter one", () => {
  const model = createModel({ type: "UNet_FM", filters: [2, 4], tEmb: 4, flowMap: true }, 1);
  const source = Object.assign(batchSource(tensor(new Float32Array(6 * 16), [6, 1, 4, 4])), { classes: 0 });
  const turns = (stages: string) => {
    const config = { batchSize: 2, seed: 1, maxSteps: 12, maxGuidance: 1, teacherGuidance: 1, stages };
    const teacher = { model, info: { config: {} } };
    const given = [config, { teacher, images: Uint32Array.of(0, 1, 2, 3) }, model, source] as unknown;
    const [{ losses }] = distillationStages(...given as Parameters<typeof distillationStages>).stages;
    const kinds = [...new Set(losses)];
    return losses.map((loss) => kinds.indexOf(loss));
  };
  assert.deepEqual(turns("drift:whole=0"), [0, 1, 2]);
  assert.deepEqual(turns("drift:whole=1"), [0, 1, 0, 2, 0, 3]);
  assert.deepEqual(turns("drift:whole=2"), [0, 0, 1, 0, 0, 2, 0, 0, 3]);
});
