import {
  add,
  type Device,
  gelu,
  gradients,
  meanSquaredError,
  permute,
  record,
  reshape,
  type Tensor,
  tensor,
  transpose,
  uniforms,
} from "../../kernels/mod.ts";
import {
  flatten,
  LayerNorm,
  Linear,
  Module,
  namedParameters,
  optimizer,
  Sequential,
} from "../../models/mod.ts";
import { queued, type Work } from "./timing.ts";

/** Images in a batch, and their side; a patch is 4 x 4 pixels. */
const batch = 32, side = 28, patch = 4, across = side / patch;
/** Number of blocks. */
const depth = 4;

/** Widths of the benchmarked mixers; the token and channel layers are C / 2 and 4 C wide, as in the paper. */
export const mixerWidths: readonly number[] = [64, 128];

/** Two linear layers with GELU between. */
const perceptron = (width: number, hidden: number) =>
  new Sequential(new Linear(width, hidden), gelu, new Linear(hidden, width));

class MixerBlock extends Module {
  readonly tokenNorm: LayerNorm;
  readonly channelNorm: LayerNorm;
  readonly tokens: Sequential;
  readonly channels: Sequential;

  constructor(width: number) {
    super();
    this.tokenNorm = new LayerNorm(width);
    this.channelNorm = new LayerNorm(width);
    this.tokens = perceptron(across ** 2, width / 2);
    this.channels = perceptron(width, 4 * width);
  }

  /** f32[N, patches, C] -> the same shape. */
  forward(x: Tensor): Tensor {
    const y = add(x, transpose(this.tokens.forward(transpose(this.tokenNorm.forward(x)))));
    return add(y, this.channels.forward(this.channelNorm.forward(y)));
  }
}

/** An MLP mixer on images. Source: Tolstikhin et al. 2021, arXiv:2105.01601 */
class Mixer extends Module {
  readonly stem: Linear;
  readonly blocks: readonly MixerBlock[];
  readonly norm: LayerNorm;
  readonly head: Linear;

  constructor(width: number) {
    super();
    this.stem = new Linear(patch ** 2, width);
    this.blocks = Array.from({ length: depth }, () => new MixerBlock(width));
    this.norm = new LayerNorm(width);
    this.head = new Linear(width, patch ** 2);
  }

  /** f32[N, 1, 28, 28] -> the same shape. */
  forward(x: Tensor): Tensor {
    const order = [0, 1, 3, 2, 4]; // rows and columns of patches first, or last again
    const patches = permute(reshape(x, [batch, across, patch, across, patch]), order);
    let y = this.stem.forward(reshape(patches, [batch, across ** 2, patch ** 2]));
    for (const block of this.blocks) y = block.forward(y);
    const pixels = reshape(this.head.forward(this.norm.forward(y)), [batch, across, across, patch, patch]);
    return reshape(permute(pixels, order), x.shape);
  }
}

/** Training steps (MSE, AdamW) and forward passes of a mixer, for timing. */
export function mixerWorks(device: Device, width: number): [train: Work, forward: Work] {
  const network = new Mixer(width);
  const random = (counter: number) =>
    tensor(uniforms(1, 9, counter, batch * side ** 2).map((u) => 2 * u - 1), [batch, 1, side, side]);
  const x = random(0), target = random(1);
  const parameters = namedParameters(network);
  const adam = optimizer("adamw", flatten(parameters), { learningRate: 1e-3 });
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
  const work = (what: string, run: () => void) =>
    queued(device, `${what} MLP mixer, ${width} channels, batch ${batch}`, batch, "images/s", run);
  return [work("train", train), work("forward", () => forward.run())];
}
