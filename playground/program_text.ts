import { pointCount } from "./plane_data.ts";
import { batchOf, inputScale } from "./plane_training.ts";
import { addressOf, type PlaygroundSettings } from "./settings.ts";

/**
 * A Deno program that trains the page's network to the same bits, and draws dots.
 *
 * @param base the location of the library, ending in a slash: the checkout, or the address of its server
 */
export function programText(settings: PlaygroundSettings, base = "./"): string {
  if (settings.step === "digits") return digitsProgram(settings);
  const { objective, prediction, path, data, drawn, hidden, seed, solver, moves } = settings;
  const whole = objective === "one_step";
  const inputs = whole ? "x, t, d" : "x, t";
  const columns = (whole ? ["t", "d"] : ["t"]).map((time) => `flow.reshape(${time}, [${time}.size, 1])`);
  const points = JSON.stringify({ data, drawn });
  const predicted = whole ? "mean velocity from t to t + d" : prediction;
  const steps = `solver: "${whole ? "map" : solver}", steps: ${moves}, seed: ${seed}`;
  const helpers = whole ? "weightsDigest, exactTeacher, rateAt" : "weightsDigest, rateAt";
  const remote = /^https?:/.test(base);
  const flags = remote ? `--allow-import=${new URL(base).host}` : "--allow-read";
  const where = remote ? "Save it" : "Save it beside the library's mod.ts";
  const converts = prediction !== "velocity" || path !== "linear";
  return `// Trains the network of the playground at ${addressOf(settings)}
// ${where} and run it: deno run ${flags} FILE.ts
import * as flow from "${base}${whole ? "web/" : ""}mod.ts";
import { planePoints } from "${base}playground/plane_data.ts";
import { ${helpers} } from "${base}playground/plane_training.ts";

await flow.init({ device: "cpu", fused: false }); // the same bits on every machine
const initialiser = flow.randomInitialiser(${seed});

/** Predicts the ${predicted}, at places x f32[N, 2]. */
class Network extends flow.Module {
  first = new flow.Linear(${whole ? 4 : 3}, ${hidden}, initialiser);
  second = new flow.Linear(${hidden}, ${hidden}, initialiser);
  last = new flow.Linear(${hidden}, 2, initialiser);

  ${whole ? "meanVelocity" : "velocity"}(${inputs.replace(/\w+/g, "$&: flow.Tensor")}): flow.Tensor {
    const inputs = flow.multiply(flow.concat([x, ${columns.join(", ")}], 1), ${inputScale});
    const h = flow.silu(this.first.forward(inputs));
    return this.last.forward(flow.silu(this.second.forward(h)));
  }
${
    whole
      ? "\n  velocity(x: flow.Tensor, t: flow.Tensor): flow.Tensor {\n    return this.meanVelocity(x, t, flow.full(t.shape, 0));\n  }\n"
      : ""
  }}

const network = new Network();
const points = planePoints(${points});
const x1 = flow.tensor(points, [${pointCount}, 2]);
${whole ? trainingOfSteps(settings) : trainingOfVelocity(settings)}
const mean = losses.slice(-200).reduce((sum, loss, _, { length }) => sum + loss / length, 0);
console.log(\`loss \${mean.toFixed(4)}, averaged over the last steps\`);
console.log(weightsDigest([...(await flow.stateOf(network)).values()].map(({ data }) => data)));

const field = ${converts ? "flow.predicting(network, objective.prediction, objective.path)" : "network"};
const dots = flow.sample(field, { count: 512, shape: [2], ${steps} });
console.log(await dots.read()); // x and y of each dot
`;
}

/** The program for digits; it needs a checkout, which has their images and networks. */
function digitsProgram(settings: PlaygroundSettings): string {
  const address = addressOf({ ...settings, device: "cpu" });
  return `// Trains the network of the playground at ${address}
// Save it beside the library's mod.ts and run it: deno run --allow-read FILE.ts
import { playgroundDigits } from "./experiments/serve.ts";
import { DigitsTraining } from "./playground/digits_training.ts";
import { openDevice } from "./playground/plane_training.ts";
import { settingsOf } from "./playground/settings.ts";
import * as flow from "./web/mod.ts";

await openDevice(flow, 1); // the same bits on every machine
const { settings } = settingsOf("${address}");
const training = new DigitsTraining(flow, await playgroundDigits(), settings);
const losses: number[] = [];
while (!training.done) losses.push(...await training.train());
const mean = losses.slice(-200).reduce((sum, loss, _, { length }) => sum + loss / length, 0);
console.log(\`loss \${mean.toFixed(4)}, averaged over the last steps\`);
console.log(await training.digest());
console.log((await training.draw(() => Promise.resolve())).many); // images f32[11, 10, side, side], from noise to digits
`;
}

function trainingOfVelocity(settings: PlaygroundSettings): string {
  const { path, times, pairs, prediction, steps, seed, rate } = settings;
  const options = {
    uniform: "",
    stratified: "",
    logit_normal: "{ mean: 0, scale: 1 }",
    u_shaped: "{ a: 4 }",
  };
  return `const objective: flow.Objective = {
  path: flow.paths.${path}.make(),
  times: flow.timeDistributions.${times}.make(${options[times]}),
  coupling: flow.couplings.${pairs === "nearest" ? "ot" : "independent"}.make(),
  prediction: flow.predictions.${prediction}.make(),
};
const steps = ${steps};
const losses = await flow.fit(network, x1, {
  steps,
  batchSize: ${batchOf(settings)},
  seed: ${seed},
  learningRate: { learningRate: (progress) => rateAt(${rate}, Math.round(progress * (steps - 1))) },
  objective,
});`;
}

function trainingOfSteps({ steps, batch, seed, rate }: PlaygroundSettings): string {
  return `const source = flow.batchSource(x1);
const teacher = exactTeacher(flow, points);
const shared = { student: network, teacher, source, batchSize: ${batch} };
const trainer = new flow.Trainer(network, source, {
  batchSize: ${batch},
  seed: ${seed},
  learningRate: ${rate},
  stages: [{ steps: ${steps}, losses: [new flow.MeanMapLoss(shared)] }],
});
const order = new flow.BatchOrder(Uint32Array.from({ length: ${pointCount} }, (_, i) => i), ${batch}, ${seed});
const losses: number[] = [];
while (trainer.step < ${steps}) {
  trainer.queueStep(order.batch(trainer.step), rateAt(${rate}, trainer.step));
  losses.push(...await trainer.losses());
}`;
}
