import assert from "node:assert/strict";
import { basename } from "node:path";
import { DataError, firstIndices } from "../../../experiments/data/dataset.ts";
import { rowsOf } from "../../../experiments/data/images.ts";
import { FASHION_FOLDER, loadDataset, mnistFolder } from "../../../experiments/data/load_dataset.ts";
import { readIdxFolder } from "../../../experiments/data/idx.ts";
import { judgeOf } from "../../../experiments/evaluation/find_judge.ts";
import { judgedData, readStored, storedJudges } from "../../../experiments/evaluation/data_judge.ts";
import { accuracyOf } from "../../../experiments/evaluation/train_judge.ts";
import { init, withDevice } from "../../../kernels/mod.ts";
import { loadJudge } from "../../../models/mod.ts";
import { textOf } from "../../module_graph.ts";
import { granted, testNeeding, testUnless } from "../../permissions.ts";

/** Folder of each judge's images: a Debian package's, or undefined for the package that Deno downloads. */
const folders: Readonly<Record<string, string | undefined>> = {
  "checkpoints/judge_mnist.safetensors": undefined,
  "checkpoints/judge_mnist_vgg.safetensors": undefined,
  "checkpoints/judge_fashion_mnist.safetensors": FASHION_FOLDER,
  "checkpoints/judge_fashion_mnist_vgg.safetensors": FASHION_FOLDER,
};

/** Why the images of a judge cannot be read here, if so. */
async function missing(folder: string | undefined): Promise<string | undefined> {
  if (!granted("read")) return "needs --allow-read";
  try {
    if (folder === undefined) await mnistFolder();
    else await readIdxFolder(folder);
  } catch (error) {
    if (error instanceof DataError) return error.message;
    throw error;
  }
}

testNeeding(
  { read: true },
  "the judges of the repository match the table and the docs",
  async () => {
    assert.deepEqual(storedJudges.map(({ file }) => file), Object.keys(folders));
    const docs = await textOf("docs/judge.md");
    const device = await init({ device: "cpu" });
    for (const stored of storedJudges) {
      const bytes = await readStored(stored); // checks the digest
      assert.ok(bytes.length < 500_000, `${stored.file} has ${bytes.length} bytes`);
      const { info } = loadJudge(bytes, stored.file);
      assert.deepEqual([info.dataDigest, info.command], [stored.dataDigest, stored.command]);
      for (const told of [basename(stored.file), stored.digest, `${(100 * info.accuracy).toFixed(2)} %`]) {
        assert.ok(docs.includes(told), `docs/judge.md does not say ${told}`);
      }
    }
    device.close();
  },
);

for (const [file, folder] of Object.entries(folders)) {
  testUnless(
    await missing(folder),
    `judgeOf() finds ${file}, which has its stated accuracy`,
    async () => {
      const device = await init({ device: "cpu" });
      const data = judgedData(await loadDataset(folder));
      const { name, digest } = storedJudges.find((stored) => stored.file === file)!;
      const judge = (await judgeOf(name, data, { say: assert.fail }))!;
      assert.deepEqual([judge.source, judge.digest, judge.classes], ["stored", digest, 10]);
      const { images, labels } = data.test;
      const count = 1000;
      const first = {
        images: rowsOf(images, firstIndices(count), 784),
        labels: labels.subarray(0, count),
        count,
      };
      const weights = loadJudge(await Deno.readFile(new URL(`../../../${file}`, import.meta.url)), file);
      const accuracy = await withDevice(device, () => accuracyOf(weights, first));
      assert.ok(
        Math.abs(accuracy - judge.accuracy) < 0.015,
        `${accuracy} of ${count}, ${judge.accuracy} of all`,
      );
      device.close();
    },
  );
}
