import assert from "node:assert/strict";
import { join } from "node:path";
import { rowsOf, StoredImages } from "../../../experiments/data/images.ts";
import { loadDataset } from "../../../experiments/data/load_dataset.ts";
import type { Stretches } from "../../../experiments/data/images.ts";
import { PairedBatches } from "../../../experiments/training/paired_batches.ts";
import { BatchOrder, independentCoupling } from "../../../models/mod.ts";
import { testInFolder } from "../../folder.ts";

/** Stands in for a worker, and records its messages. */
function fakeWorkers() {
  const said: unknown[] = [];
  const { Worker } = globalThis;
  class FakeWorker extends EventTarget {
    postMessage(message: unknown) {
      said.push(message);
    }
    terminate() {
      said.push("terminated");
    }
  }
  Object.assign(globalThis, { Worker: FakeWorker });
  return { said, [Symbol.dispose]: () => void Object.assign(globalThis, { Worker }) };
}

testInFolder(
  "PairedBatches reads the images of coming steps ahead, once each, from their places",
  async (folder) => {
    const [count, rowBytes] = [40, 12];
    const header = `{'descr': '|u1', 'fortran_order': False, 'shape': (${count}, 3, 4), }`.padEnd(117) + "\n";
    const start = Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length, 0);
    const values = Uint8Array.from({ length: count * rowBytes }, (_, i) => 1 + Math.floor(i / rowBytes) * 6);
    const path = join(folder, "images.npy");
    await Deno.writeFile(path, Uint8Array.from([...start, ...new TextEncoder().encode(header), ...values]));
    const { images } = (await loadDataset(path, { maxInMemory: 0 })).train;
    assert.ok(images instanceof StoredImages);
    using workers = fakeWorkers();
    const order = new BatchOrder(Uint32Array.from(images.rows.keys()), 4, 1);
    {
      using pairs = new PairedBatches(order, independentCoupling, undefined, { logEvery: 3 }, images);
      for (const [from, to] of [[0, 2], [2, 4], [4, 5]]) await pairs.batches(from, to);
    }
    const file = await Deno.readFile(path);
    const ahead = (workers.said.slice(0, -1) as Stretches[]).map((told) => {
      assert.deepEqual([told.path, told.length], [path, rowBytes]);
      return told.starts.map((at) => file[at]);
    });
    const needed = [2, 3, 4, 5].map((step) =>
      [...order.batch(step)].map((n) => rowsOf(images, [n], rowBytes)[0])
    );
    assert.deepEqual(ahead, needed, "what steps 2 to 5 need");
    assert.equal(workers.said.at(-1), "terminated");
  },
);
