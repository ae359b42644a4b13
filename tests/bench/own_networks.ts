import {
  add,
  conv2d,
  type Device,
  gelu,
  gradients,
  meanSquaredError,
  multiply,
  permute,
  randomNormal,
  record,
  reshape,
  sum,
  type Tensor,
  tensor,
  transpose,
  uniforms,
} from "../../kernels/mod.ts";
import {
  Conv2d,
  flatten,
  LayerNorm,
  Linear,
  Module,
  namedParameters,
  optimizer,
  randomInitialiser,
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

/** Three 3x3 convolutions 32->32 with GELU between. */
class ThreeConvolutions extends Module {
  readonly convs: readonly Conv2d[];

  constructor() {
    super();
    const initialiser = randomInitialiser(1);
    this.convs = [0, 1, 2].map(() => new Conv2d(32, 32, 3, initialiser));
  }

  /** f32[N, 32, H, W] -> the same shape. */
  forward(x: Tensor): Tensor {
    const [first, second, third] = this.convs;
    return third.forward(gelu(second.forward(gelu(first.forward(x)))));
  }
}

/** A network, and its output for x f32[N, channels, 28, 28]. */
interface OwnNetwork {
  readonly name: string;
  readonly network: Module;
  readonly channels: number;
  readonly optimizer: "adam" | "adamw";
  predict(x: Tensor): Tensor;
}

/** The networks, by their names in tables. */
export function ownNetworkCases(): OwnNetwork[] {
  const images = { shape: [1, side, side], classes: 0, flowMap: false } as const;
  const t = tensor(uniforms(1, 9, 2, batch));
  const layers = (name: string, network: ThreeConvolutions | Mixer) => ({
    ...{ name, network },
    predict: (x: Tensor) => network.forward(x),
  });
  const three = layers("three 3x3 convolutions", new ThreeConvolutions());
  const mixers = ownNetworks.mixers.map((width) => layers(`MLP mixer, ${width} channels`, new Mixer(width)));
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
  return [
    { ...three, channels: 32, optimizer: "adam" },
    ...[...mixers, ...own].map((found) => ({ ...found, channels: 1, optimizer: "adamw" as const })),
  ];
}

/** Training steps (MSE) and forward passes of a network, for timing. */
export function ownNetworkWorks(
  device: Device,
  { name, network, channels, optimizer: kind, predict }: OwnNetwork,
): [train: Work, forward: Work] {
  const shape = [batch, channels, side, side];
  const random = (counter: number) =>
    tensor(uniforms(1, 9, counter, batch * channels * side ** 2).map((u) => 2 * u - 1), shape);
  const x = random(0), target = random(1);
  const parameters = namedParameters(network);
  const update = optimizer(kind, flatten(parameters), { learningRate: 1e-3 });
  const forward = record(() => predict(x));
  const step = record(() => {
    const loss = meanSquaredError(predict(x), target);
    update.update(gradients(loss, [...parameters.values()]));
    return loss;
  });
  const train = () => {
    update.beforeStep();
    step.run();
  };
  const work = (what: string, run: () => void) =>
    queued(device, `${what} ${name}, batch ${batch}`, batch, "images/s", run);
  return [work("train", train), work("forward", () => forward.run())];
}

/** Images in a batch of a single convolution. */
export const convolutionBatch = 64;

/** Convolutions of square images other than the U-Nets' own. */
export const singleConvolutions = [
  { name: "5x5", channels: 24, size: 8, kernel: 5, stride: 1, groups: 1 },
  { name: "7x7", channels: 24, size: 8, kernel: 7, stride: 1, groups: 1 },
  { name: "3x3 with stride 2", channels: 24, size: 8, kernel: 3, stride: 2, groups: 1 },
  { name: "depthwise 7x7", channels: 24, size: 8, kernel: 7, stride: 1, groups: 24 },
  { name: "5x5", channels: 32, size: 14, kernel: 5, stride: 1, groups: 1 },
  { name: "7x7", channels: 32, size: 14, kernel: 7, stride: 1, groups: 1 },
].map((found) => ({
  ...found,
  name: `step of ${found.name}, ${found.channels} channels, ${found.size}x${found.size}`,
}));

/** A step of each: the result, and the gradients of its product with random numbers. */
export function singleConvolutionWorks(device: Device): Work[] {
  let counter = 0;
  const random = (...shape: number[]) => randomNormal(tensor(Uint32Array.of(1, 9, counter++)), shape);
  return singleConvolutions.map(({ name, channels, size, kernel, stride, groups }) => {
    const inputs = [
      random(convolutionBatch, channels, size, size),
      random(channels, channels / groups, kernel, kernel),
      random(channels),
    ];
    const [x, w, bias] = inputs, options = { stride, padding: kernel >> 1, groups };
    const slope = random(...conv2d(x, w, bias, options).shape);
    const step = record(() => {
      const y = conv2d(x, w, bias, options);
      return [y, ...gradients(sum(multiply(y, slope)), inputs)];
    });
    return queued(device, name, convolutionBatch, "images/s", () => step.run());
  });
}
