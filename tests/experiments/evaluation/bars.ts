import { randomBits } from "../../../kernels/mod.ts";
import type { Dataset, LabelledImages } from "../../../experiments/data/dataset.ts";
import { sha256 } from "../../../experiments/run/run_folder.ts";
import type { JudgedData } from "../../../experiments/evaluation/train_judge.ts";

const side = 8;

/** Grey noise with a bright bar, horizontal in class 0 and vertical in class 1. */
function images(count: number, seed: number): Required<LabelledImages> {
  const bits = randomBits(seed, 0, 0, count * side * side);
  const pixels = Uint8Array.from(bits, (bits) => bits & 127);
  const labels = Uint8Array.from({ length: count }, (_, n) => n % 2);
  labels.forEach((label, n) => {
    const line = 1 + bits[n] % (side - 2);
    for (let i = 0; i < side; i++) {
      const [y, x] = label === 0 ? [line, i] : [i, line];
      pixels[(n * side + y) * side + x] = 255;
    }
  });
  return { images: pixels, labels, count };
}

/** A made-up data set that is easy to learn. */
export async function bars(changes: Partial<Dataset> = {}): Promise<JudgedData> {
  const [train, test] = [images(200, 1), images(100, 2)];
  return {
    ...{ name: "bars", train, test, channels: 1, height: side, width: side, classes: 2, source: "bars" },
    digest: await sha256(train.images as Uint8Array<ArrayBuffer>),
    ...changes,
  } as JudgedData;
}
