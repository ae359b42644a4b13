/** Trains a judge of labelled images, such as those in `checkpoints/`, and prints its accuracy and SHA-256.
 *
 * `deno run -A tools/train_judge.ts [--judge vgg] [--data DATA] [--steps N] [--seed N] [--device cpu] [--out FILE]`
 */
import { parseArgs } from "node:util";
import { loadDataset } from "../experiments/data/load_dataset.ts";
import { batchSize, judgedData, makeJudge, recipes } from "../experiments/evaluation/train_judge.ts";
import { ProgressBar } from "../experiments/cli/output.ts";
import { sha256 } from "../experiments/run/run_folder.ts";
import { init } from "../kernels/mod.ts";
import type { JudgeName } from "../models/mod.ts";

const { values: { judge, data, steps, seed, device, out } } = parseArgs({
  options: {
    judge: { type: "string", default: "lenet" },
    data: { type: "string" },
    steps: { type: "string" },
    seed: { type: "string" },
    device: { type: "string", default: "cpu" },
    out: { type: "string", default: "judge.safetensors" },
  },
});
const name = judge as JudgeName;
const opened = await init({ device: device as "cpu" | "webgpu" });
const judged = judgedData(await loadDataset(data));
const totalSteps = Number(steps ?? recipes[name].steps);
using bar = new ProgressBar({ totalSteps, imagesPerStep: batchSize });
const made = await makeJudge(judged, {
  name,
  steps: steps === undefined ? undefined : totalSteps,
  seed: Number(seed ?? recipes[name].seed),
  onProgress: (step, loss) => bar.update(step, loss),
});
bar.finish();
const { bytes, info: { accuracy } } = made!; // it cannot be stopped
await Deno.writeFile(out, bytes);
console.log(`${(100 * accuracy).toFixed(2)} % of the ${judged.test.count} test images of ${judged.name}`);
console.log(`${out}: SHA-256 ${await sha256(bytes)}`);
opened.close();
