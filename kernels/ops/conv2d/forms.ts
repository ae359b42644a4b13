import type { Dims } from "../../devices/device.ts";
import type { Convolution } from "./tiles.ts";

/** The convolution itself, without bias. */
export const forwardConvolution = ({ R, S }: Dims): Convolution => ({
  R,
  S,
  source: "x",
  target: "y",
  lengths: { C: "dims.C", H: "dims.H", W: "dims.W", K: "dims.K", P: "dims.P", Q: "dims.Q" },
  padding: "dims.padding",
  weight: (k, c, tap) => `w[(${k} * dims.C + ${c}) * ${R * S}u + ${tap}]`,
});

/** Of a convolution, padding counted. */
export const multiplyAdds = ({ N, K, C, R, S, P, Q }: Dims): number => N * K * P * Q * C * R * S;

/** With bias[B, K], and with `addend`, WGSL of what is added to the target's element `to`. */
export const biasedConvolution = (dims: Dims, addend?: string): Convolution => ({
  ...forwardConvolution(dims),
  bias: (n, k) => `bias[${n} % dims.B * dims.K + ${k}]`,
  ...addend && { addend },
});

/** The input gradient: of dy, with the weights rotated by 180 degrees, in and out swapped. */
export const turnedConvolution = ({ R, S }: Dims): Convolution => ({
  R,
  S,
  source: "dy",
  target: "dx",
  lengths: { C: "dims.K", H: "dims.P", W: "dims.Q", K: "dims.C", P: "dims.H", Q: "dims.W" },
  padding: "dims.turned",
  weight: (k, c, tap) => `w[(${c} * dims.C + ${k}) * ${R * S}u + ${R * S - 1}u - ${tap}]`,
});
