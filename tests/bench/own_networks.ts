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
import ConvNeXt from "../../examples/convnext.ts";
import DiT from "../../examples/dit.ts";
import { queued, type Work } from "./timing.ts";

/** Images in a batch, and their side; a patch of the mixers is 4 x 4 pixels. */
const batch = 32, side = 28, patch = 4, across = side / patch;
/** Number of blocks of the mixers. */
const depth = 4;

/** The benchmarked networks other than the U-Nets; PyTorch has them by the same names and options. */
export const ownNetworks = {
  mixers: [64, 128],
  DiT: { patch: 4, width: 96, depth: 4, heads: 4 },
  ConvNeXt: { widths: [32, 64, 96], depth: 1, features: 64 },
} as const;

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

/** An MLP mixer on images; the token and channel layers are C / 2 and 4 C wide. Source: Tolstikhin et al. 2021, arXiv:2105.01601 */
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

/** The networks, by their names in tables, with their outputs for x f32[N, 1, 28, 28]. */
export function ownNetworkCases(): { name: string; network: Module; predict: (x: Tensor) => Tensor }[] {
  const images = { shape: [1, side, side], classes: 0, flowMap: false } as const;
  const t = tensor(uniforms(1, 9, 2, batch));
  const mixers = ownNetworks.mixers.map((width) => {
    const network = new Mixer(width);
    return { name: `MLP mixer, ${width} channels`, network, predict: (x: Tensor) => network.forward(x) };
  });
  const { widths, ...rest } = ownNetworks.ConvNeXt;
  const examples = {
    DiT: new DiT({ ...ownNetworks.DiT, ...images }),
    ConvNeXt: new ConvNeXt({ widths: [...widths], ...rest, ...images }),
  };
  const own = Object.entries(examples).map(([name, network]) => ({
    name: `examples/${name.toLowerCase()}.ts`,
    network,
    predict: (x: Tensor) => network.velocity(x, t),
  }));
  return [...mixers, ...own];
}

/** Training steps (MSE, AdamW) and forward passes of a network, for timing. */
export function ownNetworkWorks(
  device: Device,
  { name, network, predict }: ReturnType<typeof ownNetworkCases>[number],
): [train: Work, forward: Work] {
  const random = (counter: number) =>
    tensor(uniforms(1, 9, counter, batch * side ** 2).map((u) => 2 * u - 1), [batch, 1, side, side]);
  const x = random(0), target = random(1);
  const parameters = namedParameters(network);
  const adam = optimizer("adamw", flatten(parameters), { learningRate: 1e-3 });
  const forward = record(() => predict(x));
  const step = record(() => {
    const loss = meanSquaredError(predict(x), target);
    adam.update(gradients(loss, [...parameters.values()]));
    return loss;
  });
  const train = () => {
    adam.beforeStep();
    step.run();
  };
  const work = (what: string, run: () => void) =>
    queued(device, `${what} ${name}, batch ${batch}`, batch, "images/s", run);
  return [work("train", train), work("forward", () => forward.run())];
}
