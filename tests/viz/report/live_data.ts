/** Reports with networks in them, tiny and untrained, whose flows are known. */

import { init, tensor } from "../../../kernels/mod.ts";
import {
  createModel,
  type Model,
  noise,
  Sampler,
  saveCheckpoint,
  type SolverName,
} from "../../../models/mod.ts";
import type { Evolution } from "../../../viz/mod.ts";
import type { ReportData } from "../../../viz/report/mod.ts";
import library from "../../../web/flow.js" with { type: "text" };
import { run, size } from "./made_up.ts";

await init({ device: "cpu" });

const { H, W } = size;
const shape = [1, 1, H, W];
const config = { type: "UNet_FM", filters: [2, 4], tEmb: 4 } as const;
/** Pixels are seen as 2 pixel - 1. */
const normalization = { scale: 2, shift: -1 } as const;

/** How the recorded samples were solved. */
export const recorded = { seed: 7, solver: "euler", steps: 20 } as const;

/** A network, and its flows as a report has them. */
export class Network {
  private constructor(readonly model: Model, readonly checkpoint: Uint8Array) {}

  /** A network of a seed. */
  static async of(seed: number): Promise<Network> {
    const model = createModel(config, seed);
    return new Network(model, await saveCheckpoint(model, { config, normalization, imageSize: [H, W] }));
  }

  /** The flow from the noise of a seed. */
  async flow(seed: number, how: { solver: SolverName; steps: number }): Promise<Evolution> {
    return await this.flowFrom(pixels(await noise(seed, shape).read()), how);
  }

  /** The flow from a state at the step `first`, in pixels; its times begin with that. */
  async flowFrom(
    x: Float32Array,
    { solver, steps }: { solver: SolverName; steps: number },
    first = 0,
  ): Promise<Evolution> {
    const seen = tensor(x.map((pixel) => normalization.scale * pixel + normalization.shift), shape);
    const snapshots = await Array.fromAsync(
      new Sampler(this.model, shape, { solver, steps }).trajectory(seen, { first }),
    );
    return {
      t: Float32Array.from(snapshots, ({ t }) => t),
      image: Float32Array.from(snapshots.flatMap(({ image }) => [...pixels(image)])),
      velocity: Float32Array.from(
        snapshots.flatMap(({ velocity }) => [...(velocity ?? [])].map((v) => v / normalization.scale)),
      ),
      shape: [snapshots.length, H, W],
    };
  }
}

function pixels(seen: Float32Array): Float32Array {
  return seen.map((x) => (x - normalization.shift) / normalization.scale);
}

/** A report of networks by name; a text instead of one says why there is none. */
export async function liveReport(networks: Record<string, Network | string>): Promise<ReportData> {
  const some = await Network.of(1);
  const runs = await Promise.all(
    Object.entries(networks).map(async ([name, network]) => {
      const { seed, ...how } = recorded;
      const evolution = await (typeof network === "string" ? some : network).flow(seed, how);
      return run(name, { evolutions: [evolution], solved: recorded });
    }),
  );
  const checkpoints = Object.values(networks).map((network) =>
    typeof network === "string" ? network : network.checkpoint
  );
  return { runs, live: { library, checkpoints } };
}
