import { normals } from "../../kernels/mod.ts";
import { streams } from "../random.ts";
import { type Pairing, transport } from "./transport.ts";

/** Identifies the noise of a training step. */
export interface NoiseDraw {
  /** Integer in [0, 2^32). */
  readonly seed: number;
  /** The step, from 0. */
  readonly step: number;
}

/** Examples in host memory, for couplings. */
export interface HostExamples {
  /** Elements per example. */
  readonly size: number;
  /**
   * Data at the given indices in the network's units, f32[N, size]; if the data is augmented, as it is at the step of
   * `draw`.
   */
  values(examples: Uint32Array, draw?: NoiseDraw): Float32Array<ArrayBuffer>;
  /** Labels at the given indices, u32[N], if the data has labels. */
  labels?(examples: Uint32Array): Uint32Array<ArrayBuffer>;
}

/** Pairs data with noise. */
export interface Coupling {
  /** Data that it needs in host memory; by default none. */
  readonly sees?: "values" | "labels";
  /**
   * Reorders a batch: example n is paired with row n of the noise.
   *
   * @param examples indices of a batch, u32[N]
   * @param draw the noise of the step
   * @param data the examples, if the coupling sees them
   * @returns the same examples, reordered
   * @throws {TypeError} if required data is missing
   */
  pair(examples: Uint32Array<ArrayBuffer>, draw: NoiseDraw, data?: HostExamples): Uint32Array<ArrayBuffer>;
}

/** Noise and data are drawn independently. */
export const independentCoupling: Coupling = { pair: (examples) => examples };

/** Largest batch for transport. A larger one would take longer than a training step. */
export const maxPaired = 256;

/** Input of {@linkcode pairTransport}, which can be sent to a worker. */
export interface TransportBatch {
  /** The noise of the step. */
  readonly draw: NoiseDraw;
  /** The data, f32[N, P]. */
  readonly values: Float32Array<ArrayBuffer>;
  /** Labels u32[N], to pair within each class only. */
  readonly labels?: Uint32Array<ArrayBuffer>;
  /** N. */
  readonly count: number;
}

/** Exact transport between a batch and its noise, over all examples or within each class. */
export interface TransportCoupling extends Coupling {
  /** The values, and the labels if it pairs within classes. */
  readonly sees: "values" | "labels";
  /** The input of {@linkcode pairTransport}, so that a worker can run it. */
  batch(examples: Uint32Array, draw: NoiseDraw, data: HostExamples | undefined): TransportBatch;
}

/**
 * Draws the noise of a step as the device does, to 1e-5, and pairs a batch with it.
 *
 * @throws {RangeError} if `count` does not divide the number of values, one is not finite, or a seed is out of range
 */
export function pairTransport({ draw: { seed, step }, values, labels, count }: TransportBatch): Pairing {
  return transport(normals(seed, streams.noise, step, values.length), values, count, labels);
}

function transportCoupling(sees: "values" | "labels"): TransportCoupling {
  const batch: TransportCoupling["batch"] = (examples, draw, data) => {
    const labels = sees === "labels" ? data?.labels?.(examples) : undefined;
    if (!data || (sees === "labels" && !labels)) {
      throw new TypeError(
        `Cannot pair data with noise: the coupling needs the ${sees} of the data on the host`,
      );
    }
    if (examples.length > maxPaired) {
      throw new RangeError(
        `Cannot pair ${examples.length} examples by transport (expected batches of at most ${maxPaired})`,
      );
    }
    return { draw, values: data.values(examples, draw), count: examples.length, ...labels && { labels } };
  };
  return {
    sees,
    batch,
    pair: (examples, draw, data) =>
      pairTransport(batch(examples, draw, data)).order.map((at) => examples[at]),
  };
}

/** Exact minibatch transport: pairs a batch with its noise so that the sum of squared distances is smallest. */
export const transportPairs: TransportCoupling = transportCoupling("values");

/** Transport within each class, so that the noise of an example does not depend on its label. */
export const classTransportPairs: TransportCoupling = transportCoupling("labels");

/** The couplings by name. */
export const couplings = {
  independent: {
    doc: "noise and data are drawn independently",
    settings: {},
    make: (): Coupling => independentCoupling,
  },
  ot: {
    doc: "exact optimal transport in each batch, of at most 256 images",
    settings: {},
    make: (): Coupling => transportPairs,
  },
  class_ot: {
    doc: "the same within each class, for data with labels",
    settings: {},
    make: (): Coupling => classTransportPairs,
  },
} as const;
