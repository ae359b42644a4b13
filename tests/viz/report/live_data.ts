/** Reports with tiny untrained networks, whose flows are known. */

import { init, tensor } from "../../../kernels/mod.ts";
import {
  AdaptiveSampler,
  autoguided,
  createModel,
  fromPixels,
  guided,
  type Model,
  namedParameters,
  noise,
  noneOf,
  Sampler,
  saveCheckpoint,
  snapshotToPixels,
  type SolverName,
  toPixels,
} from "../../../models/mod.ts";
import type { Trajectory } from "../../../viz/mod.ts";
import type { LiveNetwork, ReportData, ReportRun } from "../../../viz/report/mod.ts";
import library from "../../../web/flow.js" with { type: "text" };
import { run, size } from "./made_up.ts";

await init({ device: "cpu" });

const { H, W } = size;
/** Conditioning of the recorded samples of networks with classes. */
export const asked = { label: 1, guidance: 2 } as const;
const config = { type: "UNet_FM", filters: [2, 4], tEmb: 4 } as const;
/** Networks get 2 pixel - 1. */
export const normalization = { scale: 2, shift: -1 } as const;

/** How the recorded samples were solved. */
export const recorded = { seed: 7, solver: "euler", steps: 20 } as const;

/** How a flow is solved and conditioned. */
export interface Solving {
  readonly solver: SolverName;
  readonly steps: number;
  readonly label?: number;
  readonly guidance?: number;
  /** The early network of autoguidance. */
  readonly early?: Network;
}

/** A network with its flows, as a report holds them. */
export class Network {
  private constructor(
    readonly model: Model,
    readonly checkpoint: Uint8Array,
    readonly channels: number,
    readonly classes: number,
  ) {}

  /** Makes the network of a seed. */
  static async of(seed: number, channels = 1, classes = 0): Promise<Network> {
    const options = { ...config, channels, classes };
    const model = createModel(options, seed);
    const labels = namedParameters(model).get("label_emb.weight");
    labels?.write(Float32Array.from({ length: labels.size }, (_, i) => 3 * Math.sin(3 * i))); // make classes matter
    const info = { config: options, normalization, imageSize: [H, W] } as const;
    return new Network(model, await saveCheckpoint(model, info), channels, classes);
  }

  /** The flow from the noise of a seed. */
  async flow(seed: number, how: Solving): Promise<Trajectory> {
    const x0 = await noise(seed, [1, this.channels, H, W]).read();
    return await this.flowFrom(toPixels(x0, normalization), how);
  }

  /** The adaptive flow of dopri5 from the noise of a seed, at 21 equal times, and its cost. */
  async ownSteps(seed: number, tolerance: number) {
    const sampler = new AdaptiveSampler(this.model, [1, this.channels, H, W], {
      rtol: tolerance,
      atol: tolerance,
    });
    const { evaluations, steps: [tried], snapshots } = await sampler.solve(
      noise(seed, [1, this.channels, H, W]),
      {
        snapshots: Array.from({ length: 21 }, (_, i) => i / 20),
      },
    );
    const all = snapshots.map((snapshot) => snapshotToPixels(snapshot, normalization));
    return {
      evaluations,
      tried,
      image: Float32Array.from(all.flatMap(({ image }) => [...image])),
      velocity: Float32Array.from(all.flatMap(({ velocity }) => [...velocity!])),
    };
  }

  /** The flow from a state at the step `first`, in pixels; its times begin at that step. */
  async flowFrom(
    x: Float32Array,
    { solver, steps, label, guidance = 1, early }: Solving,
    first = 0,
  ): Promise<Trajectory> {
    const C = this.channels;
    const shape = [1, C, H, W];
    const seen = tensor(fromPixels(x, normalization), shape);
    const condition = label !== undefined && { condition: tensor(Uint32Array.of(label)) };
    const field = condition
      ? guided(this.model, { scale: guidance, none: noneOf(this.model) })
      : early
      ? autoguided(this.model, early.model, guidance)
      : this.model;
    const snapshots = (await Array.fromAsync(
      new Sampler(field, shape, { solver, steps, ...condition }).trajectory(seen, { first }),
    )).map((snapshot) => snapshotToPixels(snapshot, normalization));
    return {
      t: Float32Array.from(snapshots, ({ t }) => t),
      image: Float32Array.from(snapshots.flatMap(({ image }) => [...image])),
      velocity: Float32Array.from(snapshots.flatMap(({ velocity }) => [...(velocity ?? [])])),
      shape: C === 1 ? [snapshots.length, H, W] : [snapshots.length, C, H, W],
    };
  }
}

/** A report with networks. */
export interface LiveReport extends ReportData {
  readonly runs: readonly (ReportRun & { readonly live: LiveNetwork | string })[];
}

/** A report of networks by name; a text says why a run has none. Those in `early` have early weights and guidance 2. */
export async function liveReport(
  networks: Record<string, Network | string>,
  early: Record<string, Network> = {},
): Promise<LiveReport> {
  const some = await Network.of(1);
  const runs = await Promise.all(
    Object.entries(networks).map(async ([name, network]) => {
      const { seed, ...how } = recorded;
      const { classes } = typeof network === "string" ? some : network;
      const trajectory = await (typeof network === "string" ? some : network).flow(
        seed,
        classes > 0 ? { ...how, ...asked } : how,
      );
      const labels = classes > 0 && { labels: [asked.label], guidance: asked.guidance };
      const { plane, ...rest } = run(name, {
        trajectories: [trajectory],
        solved: { ...recorded, ...labels },
      });
      const live = typeof network === "string" ? network : {
        checkpoint: network.checkpoint,
        ...early[name] && { early: { checkpoint: early[name].checkpoint, guidance: asked.guidance } },
      };
      return { ...rest, ...plane && trajectory.shape.length === 3 && { plane }, live };
    }),
  );
  return { runs, library };
}

/** The report with additions to the networks of its runs, in order. */
export function withLive(report: LiveReport, ...more: (Partial<LiveNetwork> | undefined)[]): ReportData {
  const runs = report.runs.map((run, i) => ({
    ...run,
    live: typeof run.live === "string" ? run.live : { ...run.live, ...more[i] },
  }));
  return { ...report, runs };
}

/** The repository's own network. */
export const trainedCheckpoint = new URL("../../../checkpoints/mnist_residual.safetensors", import.meta.url);

/** A report with the repository's own network and one recorded sample of two snapshots. */
export async function trainedReport(): Promise<LiveReport> {
  const still = {
    t: Float32Array.of(0, 1),
    image: new Float32Array(2 * 784),
    velocity: new Float32Array(784),
  };
  const { plane: _, ...rest } = run("mnist", { trajectories: [{ ...still, shape: [2, 28, 28] }] });
  return { runs: [{ ...rest, live: { checkpoint: await Deno.readFile(trainedCheckpoint) } }], library };
}
