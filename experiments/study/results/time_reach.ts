import { full, scope, type Tensor, tensor } from "../../../kernels/mod.ts";
import { fromPixels, noise, type ResidualUNet, type UNet } from "../../../models/mod.ts";
import { objectiveFor, optionsOf } from "../../../models/nets/networks.ts";
import { withLabels } from "../../../models/nn/embeddings.ts";
import type { Examples } from "../../../viz/report/mod.ts";
import type { Drawable } from "../../draw/drawable.ts";
import { type Levelled, levelsOf } from "./levels.ts";

/** What the time embedding does at one level of a network. */
export interface LevelReach {
  readonly level: string;
  readonly channels: number;
  /** Channels of each group of the normalisation that the shift goes into; none where there is no normalisation. */
  readonly perGroup?: number;
  /** How much of a change of the shift gets through this normalisation: root mean square, over that of the change. */
  readonly passes: number;
  /** How much the level's image changes with another time at this level alone, over the image. */
  readonly image: number;
  /** How much the network's output then changes, over the output. */
  readonly output: number;
}

/** What time and attention do in a trained network; all are ratios of root mean squares. */
export interface Reach {
  readonly levels: readonly LevelReach[];
  /** How much the output changes with another time at all levels. */
  readonly time: number;
  /** What attention adds to its image, and how much the output changes without it; none without attention. */
  readonly attention?: { readonly image: number; readonly output: number };
}

/** Times at which images are shown; each is replaced by the one two further on. */
const times = [0.1, 0.3, 0.5, 0.7, 0.9];
/** Of the noise. */
const seed = 0;

/**
 * Measures on which levels of a trained network its time embedding has an effect: test images on their way from noise are
 * shown with the embedding of another time at one level, and all others with their own. The device in use computes.
 *
 * @returns undefined for a network of another kind than ours
 * @throws {ShapeError} if the images are not of the network's size
 */
export async function timeReach(
  { model, normalization }: Drawable,
  { image, shape: [N, ...size], labels = [] }: Examples,
): Promise<Reach | undefined> {
  const [net, options] = [levelsOf(model), optionsOf(model)];
  if (!net || !options) return undefined;
  const { time_mlp, label_emb } = model as UNet | ResidualUNet;
  const pixels = fromPixels(image, normalization);
  const ratios = new Ratios();
  for (const [k, t] of times.entries()) {
    const input = scope(() => {
      const condition = label_emb &&
        tensor(Uint32Array.from({ length: N }, (_, n) => labels[n] ?? options.classes));
      const embedding = (t: number) => withLabels(label_emb, time_mlp.forward(full([N], t)), condition);
      const x1 = tensor(pixels, [N, ...size]);
      const { xt } = objectiveFor(model).path.at(noise(seed, [N, ...size]), x1, full([N], t));
      return { xt, own: embedding(t), other: embedding(times[(k + 2) % times.length]) };
    });
    await measure(net, options.groups, input, ratios);
  }
  return {
    levels: net.levels.map(({ name, shift, normalised }) => {
      const [channels] = shift.weight.shape;
      return {
        level: name,
        channels,
        ...normalised && { perGroup: channels / options.groups },
        passes: ratios.of(`${name} passes`),
        image: ratios.of(`${name} image`),
        output: ratios.of(`${name} output`),
      };
    }),
    time: ratios.of("time"),
    ...net.attention && {
      attention: { image: ratios.of("attention image"), output: ratios.of("attention output") },
    },
  };
}

/** Images on their way, with the embeddings of their own time and of another. */
interface Input {
  readonly xt: Tensor;
  readonly own: Tensor;
  readonly other: Tensor;
}

async function measure(net: Levelled, groups: number, input: Input, ratios: Ratios): Promise<void> {
  const { xt, own, other } = input;
  const usual = await run(net, xt, () => own);
  for (const { name, shift, normalised } of net.levels) {
    const changed = await run(net, xt, (level) => level === name ? other : own);
    ratios.add(`${name} image`, changed.images.get(name)!, usual.images.get(name)!);
    ratios.add(`${name} output`, changed.output, usual.output);
    const [before, after] = await Promise.all([own, other].map((e) => scope(() => shift.forward(e)).read()));
    const moved = after.map((value, i) => value - before[i]);
    const passing = normalised ? withoutMeans(moved, shift.weight.shape[0] / groups) : moved;
    ratios.addParts(`${name} passes`, passing, moved);
  }
  const elsewhere = await run(net, xt, () => other);
  ratios.add("time", elsewhere.output, usual.output);
  if (!net.attention) return;
  const without = await run(net, xt, () => own, false);
  const into = usual.images.get(net.levels.findLast(({ name }) => !name.startsWith("up"))!.name)!;
  ratios.add("attention image", usual.images.get("attention")!, into);
  ratios.add("attention output", without.output, usual.output);
}

/** Runs a network and reads what it gives, and the images between. */
async function run(net: Levelled, xt: Tensor, embedding: (level: string) => Tensor, attention = true) {
  const kept = scope(() => {
    const images = new Map<string, Tensor>();
    const output = net.run(xt, {
      embedding,
      attention,
      passed: (level, image) => images.set(level, image),
    });
    return { output, images };
  });
  const images = new Map<string, Float32Array>();
  for (const [level, image] of kept.images) images.set(level, await image.read());
  return { output: await kept.output.read(), images };
}

/** What a GroupNorm lets through of a shift [N, C]: each group of channels without its mean. */
function withoutMeans(shift: Float32Array, perGroup: number): Float32Array {
  return shift.map((value, i) => {
    const first = i - i % perGroup;
    const group = shift.subarray(first, first + perGroup);
    return value - group.reduce((sum, other) => sum + other, 0) / perGroup;
  });
}

/** Ratios of root mean squares, by name. */
class Ratios {
  readonly #sums = new Map<string, [part: number, whole: number]>();

  /** Adds the change from `before` to `after`, relative to `before`. */
  add(name: string, after: Float32Array, before: Float32Array): void {
    this.addParts(name, after.map((value, i) => value - before[i]), before);
  }

  addParts(name: string, part: Float32Array, whole: Float32Array): void {
    const [of, to] = this.#sums.get(name) ?? [0, 0];
    this.#sums.set(name, [of + squares(part), to + squares(whole)]);
  }

  of(name: string): number {
    const [part, whole] = this.#sums.get(name)!;
    return whole === 0 ? 0 : Math.sqrt(part / whole);
  }
}

function squares(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value * value, 0);
}
