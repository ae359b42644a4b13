import assert from "node:assert/strict";
import { basename, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { Terminal } from "../../../experiments/cli/output.ts";
import { sha256 } from "../../../experiments/run/run_folder.ts";
import {
  type JudgeChoice,
  type JudgeOptions,
  judgesFor,
  readStored,
  storedJudges,
} from "../../../experiments/evaluation/judges.ts";
import { accuracyOf, digestOf, judgedData, makeJudge } from "../../../experiments/evaluation/train_judge.ts";
import { type Device, init, withDevice } from "../../../kernels/mod.ts";
import { JudgeError, loadJudge } from "../../../models/mod.ts";
import { DataError, firstIndices } from "../../../experiments/data/dataset.ts";
import { readIdxFolder } from "../../../experiments/data/idx.ts";
import { rowsOf } from "../../../experiments/data/images.ts";
import { FASHION_FOLDER, loadDataset, mnistFolder } from "../../../experiments/data/load_dataset.ts";
import { testInFolder } from "../../folder.ts";
import { textOf } from "../../module_graph.ts";
import { granted, testUnless } from "../../permissions.ts";
import { bars } from "./bars.ts";
import { assertSameNumbers } from "../../same_numbers.ts";

const terminal: Terminal = { isTerminal: false, columns: () => 80, write() {} };

/** Finds judges in a folder, and records messages. */
function finder(folder: string, options: Partial<JudgeOptions> = {}) {
  const said: string[] = [];
  const cache = join(folder, "judges");
  const all = { say: (line: string) => said.push(line), terminal, steps: 20, stored: [], cache, ...options };
  const find = async (changes = {}) =>
    (await judgesFor(await bars(changes), { judge: "lenet", ...all })).at(0);
  return { find, said, cache, options: all };
}

testInFolder("judgesFor() trains a judge once, and says so", async (folder) => {
  using _device = await opened();
  const { find, said, cache } = finder(folder);
  const made = (await find())!;
  const path = join(cache, `${await digestOf(await bars())}-20.safetensors`);
  assert.deepEqual(said, [`Training the judge lenet for bars, 20 steps; it is kept in ${path}`]);
  assert.deepEqual([made.source, made.digest], ["trained", await sha256(await Deno.readFile(path))]);
  const found = (await find())!;
  assert.equal(said.length, 1);
  assert.deepEqual({ ...found, judge: 0 }, { ...made, source: "cached", judge: 0 });
  const pixels = new Float32Array(3 * 64).fill(0.5);
  assertSameNumbers(await found.judge(pixels), await made.judge(pixels));
  assert.deepEqual(await Array.fromAsync(Deno.readDir(cache), ({ name }) => join(cache, name)), [path]);
});

testInFolder("judgesFor() finds the judges that are chosen, each in a file of its own", async (folder) => {
  using _device = await opened();
  const { options, cache, said } = finder(folder);
  const found = async (judge: JudgeChoice) =>
    (await judgesFor(await bars(), { ...options, judge })).map(({ name, source }) => [name, source]);
  assert.deepEqual([await found("none"), said], [[], []]);
  assert.deepEqual(await found("lenet"), [["lenet", "trained"]]);
  assert.deepEqual(await found("vgg"), [["vgg", "trained"]]);
  assert.deepEqual(await found("all"), [["lenet", "cached"], ["vgg", "cached"]]);
  const digest = await digestOf(await bars());
  const files = await Array.fromAsync(Deno.readDir(cache), ({ name }) => name);
  assert.deepEqual(files.sort(), [`${digest}-20.safetensors`, `${digest}-vgg-20.safetensors`]);
  await Deno.rename(join(cache, `${digest}-vgg-20.safetensors`), join(cache, `${digest}-20.safetensors`));
  assert.equal(
    (await judgesFor(await bars(), options))[0].source,
    "trained",
    "a file with the other judge is replaced",
  );
});

testInFolder("judgesFor() trains a judge once for several concurrent callers", async (folder) => {
  using _device = await opened();
  const stop = new AbortController(); // a lock that is never released would let it hang
  const timer = setTimeout(() => stop.abort(), 60_000);
  const { find, said } = finder(folder, { signal: stop.signal });
  const made = await Promise.all([find(), find()]).finally(() => clearTimeout(timer));
  assert.deepEqual(made.map((judge) => judge!.source).sort(), ["cached", "trained"]);
  assert.equal(made[0]!.digest, made[1]!.digest);
  assert.equal(said.filter((line) => line.startsWith("Training ")).length, 1);
});

testInFolder(
  "judgesFor() replaces a damaged or foreign file of an earlier task",
  async (folder) => {
    using _device = await opened();
    const { find, said, cache } = finder(folder);
    const { digest } = (await find())!;
    const path = join(cache, `${await digestOf(await bars())}-20.safetensors`);
    const whole = await Deno.readFile(path);
    const foreign =
      (await makeJudge(await bars({ digest: "0".repeat(64) }), { name: "lenet", steps: 1, seed: 1 }))!.bytes;
    const network = await Deno.readFile(
      new URL("../../../checkpoints/mnist_residual.safetensors", import.meta.url),
    );
    const spoilt: [Uint8Array, RegExp][] = [
      [whole.subarray(0, 3000), /^Cannot read .*; training another one$/],
      [foreign, /^Cannot use the judge .*: it is of the images .* \(expected of the images .*, as in bars\)/],
      [network, /^Cannot load .*: it holds no judge/],
    ];
    for (const [bytes, says] of spoilt) {
      await Deno.writeFile(path, bytes);
      said.length = 0;
      const again = (await find())!;
      assert.deepEqual([again.source, again.digest], ["trained", digest]);
      assert.match(said[0], says);
      assert.match(said[0], /^[^\n]+$/);
      assert.deepEqual(await Deno.readFile(path), whole);
    }
  },
);

testInFolder(
  "judgesFor() works without a cache, and never caches a half-trained judge",
  async (folder) => {
    using _device = await opened();
    await Deno.writeTextFile(join(folder, "judges"), "a file");
    const { find, said } = finder(folder);
    assert.equal((await find())!.source, "trained");
    assert.match(said.at(-1)!, /^Cannot keep the judge in .*; the next task trains it again$/);

    const stop = new AbortController();
    stop.abort();
    const stopped = finder(folder, { cache: join(folder, "others"), signal: stop.signal });
    assert.equal(await stopped.find(), undefined);
    await assert.rejects(() => Deno.stat(join(folder, "others")), Deno.errors.NotFound);
  },
);

testInFolder("judgesFor() refuses a stored judge of another digest, kind or data", async (folder) => {
  using _device = await opened();
  const dataDigest = await digestOf(await bars());
  const root = fileURLToPath(new URL("../../..", import.meta.url));
  const refused = (file: string, digest: string, message: string) => {
    const stored = [{ name: "lenet" as const, file, digest, dataDigest }];
    return assert.rejects(finder(folder, { stored, steps: undefined }).find(), (error: Error) => {
      assert.ok(error instanceof JudgeError && error.message.startsWith(message), `${error.stack}`);
      return true;
    });
  };
  const file = "checkpoints/mnist_residual.safetensors"; // not a judge
  const [digest, other] = [await sha256(await Deno.readFile(join(root, file))), "0".repeat(64)];
  await refused(
    file,
    other,
    `Cannot use the judge ${file}: its SHA-256 is ${digest} (expected ${other}); restore it with git checkout ${file}`,
  );
  await refused("checkpoints/missing", other, "Cannot use the judge checkpoints/missing: no such file");
  await refused(file, digest, `Cannot load ${file}: it holds no judge (expected the network Classifier)`);

  const path = relative(root, join(folder, "judge.safetensors"));
  const changed: readonly (readonly [changes: object, name: "lenet" | "vgg", what: string])[] = [
    [
      { classes: 3 },
      "lenet",
      "for 3 classes of images [1, 8, 8] (expected for 2 classes of images [1, 8, 8],",
    ],
    [{ height: 4, width: 16 }, "lenet", "for 2 classes of images [1, 4, 16] (expected "],
    [{}, "vgg", "vgg (expected lenet, as in bars)"],
  ];
  for (const [changes, name, what] of changed) {
    const { bytes } = (await makeJudge(await bars(changes), { name, steps: 1, seed: 1 }))!;
    await Deno.writeFile(join(root, path), bytes);
    await refused(path, await sha256(bytes), `Cannot use the judge ${path}: it is ${what}`);
  }
});

Deno.test("judgedData() refuses data without labels or with one class", async () => {
  const { train, train: { images, count, labels } } = await bars();
  const cases: readonly (readonly [changes: object, what: string])[] = [
    [{ train: { images, count } }, "it has no labels"],
    [{ train: { ...train, labels: labels.map(() => 0) }, classes: 1 }, "all its labels are 0"],
  ];
  for (const [changes, what] of cases) {
    const data = await bars(changes);
    const start = `Cannot make a judge for bars: ${what} (`;
    assert.throws(() => judgedData(data), (error: Error) => error.message.startsWith(start));
  }
});

/** The CPU device, closed at the end of a test. */
async function opened(): Promise<Disposable & { readonly device: Device }> {
  const device = await init({ device: "cpu" });
  return { device, [Symbol.dispose]: () => device.close() };
}

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

for (const { file, name, digest, dataDigest } of storedJudges) {
  testUnless(
    await missing(folders[file]),
    `judgesFor() finds ${file}, which has the digest and accuracy of docs/evaluation.md`,
    async () => {
      using device = await opened();
      const data = judgedData(await loadDataset(folders[file]));
      const [judge] = await judgesFor(data, { judge: name, say: assert.fail });
      assert.deepEqual(
        [judge.source, judge.digest, judge.dataDigest, judge.classes],
        ["stored", digest, dataDigest, 10],
      );
      const docs = await textOf("docs/evaluation.md");
      for (const told of [basename(file), digest, `${(100 * judge.accuracy).toFixed(2)} %`]) {
        assert.ok(docs.includes(told), `docs/evaluation.md does not say ${told}`);
      }
      const count = 1000;
      const images = rowsOf(data.test.images, firstIndices(count), 784);
      const first = { images, labels: data.test.labels.subarray(0, count), count };
      const stored = await readStored({ name, file, digest, dataDigest });
      const accuracy = await withDevice(device.device, () => accuracyOf(loadJudge(stored, file), first));
      assert.ok(
        Math.abs(accuracy - judge.accuracy) < 0.015,
        `${accuracy} of ${count}, ${judge.accuracy} of all`,
      );
    },
  );
}
