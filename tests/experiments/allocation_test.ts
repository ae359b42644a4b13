/** What input asks for is checked before memory grows. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { readIdxFolder } from "../../experiments/data/idx_folder.ts";
import { readIdx } from "../../experiments/data/idx.ts";
import { checkPictures } from "../../experiments/training/training_data.ts";
import { morphing } from "../../experiments/morph.ts";
import { sampling } from "../../experiments/sample.ts";
import { training } from "../../experiments/settings/training.ts";
import { trainingConfig } from "../../experiments/settings/training_config.ts";
import { writeTinyIdx } from "./data/tiny_idx.ts";
import { testInFolder } from "../folder.ts";
import { testRefusals } from "./refusals.ts";
import { tinyNetwork } from "./cli.ts";

/** The header of an IDX file of bytes. */
function header(...lengths: number[]): Uint8Array<ArrayBuffer> {
  const bytes = new DataView(new ArrayBuffer(4 + 4 * lengths.length));
  [0x0800 + lengths.length, ...lengths].forEach((value, i) => bytes.setUint32(4 * i, value));
  return new Uint8Array(bytes.buffer);
}

/** A file without end that begins with some bytes. */
function endless(start: Uint8Array<ArrayBuffer>) {
  let read = 0;
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller) {
      controller.enqueue(read === 0 ? start : new Uint8Array(1000));
      read++;
    },
  });
  return { stream, read: () => read };
}

Deno.test("readIdx() stops a byte after the end that the header tells", async () => {
  const { stream, read } = endless(header(3, 10, 100));
  const bytes = await readIdx(stream, "file");
  assert.equal(bytes.length, 16 + 3000 + 1);
  assert.ok(read() < 10);
});

Deno.test("readIdx() reads no more than the start of another file, nor what no array holds", async () => {
  const other = endless(new Uint8Array(50).fill(1));
  assert.ok((await readIdx(other.stream, "file")).length < 5000);
  const huge = endless(header(1 << 30, 28, 28));
  await assert.rejects(() => readIdx(huge.stream, "file"), {
    name: "DataError",
    message: /^Cannot read file: its header declares 841813590032 bytes \(expected at most 4294967296\); /,
  });
  assert.ok(huge.read() < 10);
});

testInFolder("readIdxFolder() ends a gzip bomb at what its header says", async (folder) => {
  await writeTinyIdx(folder);
  const path = join(folder, "train-images-idx3-ubyte");
  await Deno.remove(path);
  const zeros = new Uint8Array(1 << 20);
  const source = ReadableStream.from([header(10, 4, 4), ...Array.from({ length: 256 }, () => zeros)]);
  await Deno.writeFile(`${path}.gz`, source.pipeThrough(new CompressionStream("gzip")));
  assert.equal((await readIdxFolder(folder)).trainImages.bytes.length, 16 + 160 + 1);
});

Deno.test("checkPictures() refuses what could not be drawn after the training", () => {
  const size = [1, 28, 28] as const;
  const values = { model: "base", filters: [4, 8], flowSteps: 100 } as const;
  const check = (pictures: object) => () => checkPictures(trainingConfig({ ...values, ...pictures }), size);
  check({ samples: 1000, flowSamples: 50, pathSamples: 5000 })();
  assert.throws(check({ samples: 1_000_000 }), { name: "RunError", message: /^Cannot draw 1000000 images / });
  assert.throws(check({ flowSamples: 100_000 }), {
    name: "ConfigError",
    message:
      "Cannot use --flow-samples 100000 here: there would be too much to draw at the end (expected at most 1695)",
  });
  assert.throws(check({ pathSamples: 3_000_000 }), { name: "ConfigError" });
});

testRefusals("train refuses what cannot work before it allocates, in one line", {
  "a network that no device holds": {
    flags: tinyNetwork.replace("--filters 8,16", "--filters 100000,200000") + " --out run",
    says: ["TrainingError: Cannot train this network here: its ", "parameters and their gradients take "],
  },
});

Deno.test("flags refuse lists that no memory could hold, before anything is made", () => {
  const refused = (parse: () => unknown, message: RegExp) =>
    assert.throws(parse, { name: "ConfigError", message });
  const asked = ["--count", "5000000000"];
  refused(() => sampling.parse(asked), /^Cannot use --count "5000000000": expected .* at most 1000000$/);
  refused(() => morphing.parse(asked), /^Cannot use --count "5000000000": expected .* at most 10000$/);
  refused(() => training.parse(["--solver", "euler:steps=5000000000"]), /^Cannot use --solver/);
});
