import { gelu, type Tensor } from "../../../kernels/mod.ts";
import { type Linear, type Model, type ResidualBlock, ResidualUNet, UNet } from "../../../models/mod.ts";
import type { Attention } from "../../../models/mod.ts";
import { descend } from "../../../models/nets/unet.ts";

/** A part of a U-Net that the time embedding shifts. */
export interface Level {
  /** `down 1` for the outermost of the encoder, `middle`, `up 1` for the outermost of the decoder. */
  readonly name: string;
  /** From the embedding to the shift of each channel. */
  readonly shift: Linear;
  /** Whether the shift goes into a GroupNorm. */
  readonly normalised: boolean;
}

/** How a network is to be run. */
export interface LevelRun {
  /** The embedding of each level, f32[N, T]. */
  embedding(level: string): Tensor;
  /** Whether attention, if there is any, takes part; it leaves the image as it is otherwise. */
  readonly attention: boolean;
  /** Is told the image that each level gives, and attention under the name `attention`. */
  passed?(level: string, image: Tensor): void;
}

/** A U-Net that can be run level by level. */
export interface Levelled {
  /** In the order in which they run. */
  readonly levels: readonly Level[];
  readonly attention: Attention | undefined;
  /** The network's output for f32[N, C, H, W]; that of `velocity` if all embeddings are that of the time. */
  run(xt: Tensor, how: LevelRun): Tensor;
}

/**
 * Takes one of our networks apart into its levels.
 *
 * @returns undefined for a network of another kind
 */
export function levelsOf(model: Model): Levelled | undefined {
  if (model instanceof ResidualUNet) return residualLevels(model);
  return model instanceof UNet ? plainLevels(model) : undefined;
}

function residualLevels(net: ResidualUNet): Levelled {
  const block = (name: string, { t_proj }: ResidualBlock) => ({ name, shift: t_proj, normalised: true });
  return {
    levels: [
      ...net.downs.map(({ residual }, i) => block(`down ${i + 1}`, residual)),
      block("middle", net.mid_res),
      ...net.ups.map(({ residual }, i) => block(`up ${net.ups.length - i}`, residual)),
    ],
    attention: net.mid_attn,
    run(xt, how) {
      const pass = passing(how);
      const down = descend(xt, net.downs.length, (x, i) => {
        const name = `down ${i + 1}`;
        return pass(name, net.downs[i].forward(x, how.embedding(name)));
      });
      let x = pass("middle", net.mid_res.forward(down.x, how.embedding("middle")));
      if (net.mid_attn && how.attention) x = pass("attention", net.mid_attn.forward(x));
      net.ups.forEach((up, i) => {
        const name = `up ${net.ups.length - i}`;
        x = pass(name, up.forward(x, down.skips.pop()!, how.embedding(name)));
      });
      return net.last.forward(x);
    },
  };
}

function plainLevels(net: UNet): Levelled {
  const level = (name: string, shift: Linear) => ({ name, shift, normalised: false });
  return {
    levels: [
      ...net.time_emb_passes.map((shift, i) => level(`down ${i + 1}`, shift)),
      ...net.time_emb_passes_up.map((shift, i) => level(`up ${net.ups.length - i}`, shift)),
    ],
    attention: net.mid,
    run(xt, how) {
      const pass = passing(how);
      let { x, skips } = descend(xt, net.downs.length, (x, i) => {
        const name = `down ${i + 1}`;
        const shift = net.time_emb_passes[i].forward(how.embedding(name));
        return pass(name, gelu(net.downs[i].forward(x, { shift })));
      });
      if (net.mid && how.attention) x = pass("attention", net.mid.forward(x));
      net.ups.forEach((up, i) => {
        const name = `up ${net.ups.length - i}`;
        const shift = net.time_emb_passes_up[i].forward(how.embedding(name));
        x = pass(name, gelu(up.join(x, skips.pop()!, shift)));
      });
      return net.last.forward(x);
    },
  };
}

function passing({ passed }: LevelRun) {
  return (name: string, image: Tensor) => {
    passed?.(name, image);
    return image;
  };
}
