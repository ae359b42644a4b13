import assert from "node:assert/strict";
import { loadDataset } from "../../../experiments/data/dataset.ts";
import { FASHION_FOLDER, fashionFolder } from "../../../experiments/data/fashion_mnist.ts";
import { granted, testUnless } from "../../permissions.ts";

Deno.test("fashionFolder() says which command installs Fashion-MNIST", async () => {
  await assert.rejects(fashionFolder("/nowhere"), {
    name: "DataError",
    message:
      "Cannot find Fashion-MNIST in /nowhere: Debian's package dataset-fashion-mnist is not installed; " +
      "run apt-get install dataset-fashion-mnist, or pass --data DIR with its IDX files",
  });
});

/** Why Fashion-MNIST cannot be loaded here, if so. */
async function problem(): Promise<string | undefined> {
  if (!granted("read")) return "needs --allow-read";
  const installed = await Deno.stat(FASHION_FOLDER).then(() => true, () => false);
  return installed ? undefined : "Debian's package dataset-fashion-mnist is not installed";
}

testUnless(
  await problem(),
  "loadDataset() loads Fashion-MNIST by name, with the names of its classes",
  async () => {
    const { train, test, classNames, ...rest } = await loadDataset("fashion-mnist");
    assert.deepEqual(rest, {
      name: "fashion-mnist",
      channels: 1,
      height: 28,
      width: 28,
      classes: 10,
      digest: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
      labelDigest: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
      source: "deb:dataset-fashion-mnist",
    });
    assert.deepEqual([train.count, train.images.length, train.labels!.length], [60_000, 47_040_000, 60_000]);
    assert.equal(test.count, 10_000);
    assert.equal(classNames![train.labels![0]], "ankle boot");
  },
);
