/**
 * `deno run tests/bench/three_convs.ts [--json] [--device auto|webgpu|cpu] [--repetitions N]`: three 3x3 convolutions
 * 32->32 with GELU between on 32 x 32 x 28 x 28, forward and in training (MSE, Adam).
 */
import {
  type Device,
  gelu,
  gradients,
  meanSquaredError,
  record,
  type Tensor,
  tensor,
  uniforms,
} from "../../kernels/mod.ts";
import {
  Conv2d,
  flatten,
  Module,
  namedParameters,
  optimizer,
  randomInitialiser,
  type State,
  stateOf,
} from "../../models/mod.ts";
import { commonFlags, count, deviceChoice, flagValues, openDevice } from "./flags.ts";
import { Reporter } from "./report.ts";
import { queued, timeInTurn, type Work } from "./timing.ts";

/** [N, C, H, W] of input, target and output. */
export const shape = [32, 32, 28, 28] as const;
/** Learning rate of Adam, without weight decay. */
export const learningRate = 1e-3;
/** Names of the works, the same for all libraries. */
export const names = {
  train: "train three 3x3 convolutions, batch 32",
  forward: "forward three 3x3 convolutions, batch 32",
} as const;

/** Initial values, the same for all libraries. */
export interface Problem {
  /** f32[N, C, H, W] */
  readonly x: Float32Array<ArrayBuffer>;
  /** f32[N, C, H, W] */
  readonly target: Float32Array<ArrayBuffer>;
  /** `convs.<i>.weight` and `convs.<i>.bias` before training. */
  readonly state: State;
}

/** A library's forward pass and training step, for timing. */
export interface Contender {
  readonly train: Work;
  readonly forward: Work;
  /** Loss of the latest training step, before its update. */
  loss(): Promise<number>;
}

class ThreeConvolutions extends Module {
  readonly convs: readonly Conv2d[];

  constructor() {
    super();
    const initialiser = randomInitialiser(1);
    this.convs = [0, 1, 2].map(() => new Conv2d(shape[1], shape[1], 3, initialiser));
  }

  /** f32[N, C, H, W] -> the same shape. */
  forward(x: Tensor): Tensor {
    const [first, second, third] = this.convs;
    return third.forward(gelu(second.forward(gelu(first.forward(x)))));
  }
}

/** The work in this library, with the initial values that another library needs. */
export async function ourThreeConvolutions(device: Device): Promise<{ problem: Problem; ours: Contender }> {
  const network = new ThreeConvolutions();
  const [N, C, H, W] = shape;
  const random = (counter: number) =>
    Float32Array.from(uniforms(1, 9, counter, N * C * H * W), (u) => 2 * u - 1);
  const problem = { x: random(0), target: random(1), state: await stateOf(network) };

  const parameters = namedParameters(network);
  const adam = optimizer("adam", flatten(parameters), { learningRate });
  const x = tensor(problem.x, shape), target = tensor(problem.target, shape);
  const forward = record(() => network.forward(x));
  const step = record(() => {
    const loss = meanSquaredError(network.forward(x), target);
    adam.update(gradients(loss, [...parameters.values()]));
    return loss;
  });
  const train = () => {
    adam.beforeStep();
    step.run();
  };
  const work = (name: string, run: () => void) => queued(device, name, N, "images/s", run);
  const ours: Contender = {
    train: work(names.train, train),
    forward: work(names.forward, () => forward.run()),
    loss: async () => (await step.result.read())[0],
  };
  return { problem, ours };
}

if (import.meta.main) {
  const values = flagValues(commonFlags);
  const repetitions = count("repetitions", values.repetitions);
  const device = await openDevice(deviceChoice(values.device), values.threads);
  const reporter = new Reporter(device.description, values.json);
  const { ours } = await ourThreeConvolutions(device);
  for (const found of await timeInTurn([ours.train, ours.forward], repetitions)) reporter.add(found);
  reporter.end();
  device.close();
}
