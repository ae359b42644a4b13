/** Reports with tiny untrained networks, and the expected flows. */

import { context } from "../../../kernels/core/context.ts";
import { init, tensor } from "../../../kernels/mod.ts";
import * as models from "../../../models/mod.ts";
import type { LiveNetwork, ReportRun } from "../../../viz/report/mod.ts";
import { library } from "../../../web/flow_text.js";
import { run, size } from "./made_up.ts";

export { library };

const device = await init({ device: "cpu", threads: 1 });

/** Continues on the device of this file: files that are joined with others (`joined_files.ts`) open more. */
const useDevice = () => void (context.device = device);
Deno.test.beforeEach(useDevice);

const { H, W } = size;
const config = { type: "UNet_FM", filters: [2, 4], tEmb: 4 } as const;
/** Networks receive 2 pixel - 1. */
const normalization = { scale: 2, shift: -1 } as const;

/** The solver settings of the recorded samples. */
export const recorded = { seed: 7, solver: "euler", steps: 20 } as const;
/** The class and guidance of recorded samples, for networks with classes. */
export const conditioning = { label: 1, guidance: 2 } as const;

/** The solver settings of `runOfThree`. */
export const three = { seed: 5, solver: "heun", steps: 4, labels: [1, 0, 2], guidance: 2 } as const;

/** The solver and conditioning of a flow. */
export interface Solving {
  readonly solver: models.FlowSolverName;
  readonly steps: number;
  readonly times?: readonly number[];
  readonly label?: number;
  readonly guidance?: number;
  /** The early network of autoguidance. */
  readonly early?: Network;
}

/** A network with its flows, in the format of a report. */
export class Network {
  private constructor(
    readonly model: models.Model,
    readonly checkpoint: Uint8Array,
    readonly channels: number,
    readonly classes: number,
  ) {}

  /**
   * Creates the network of a seed. With `flowMap`, it predicts whole steps, which depend on their length, and with
   * `maxGuidance` also on the guidance.
   */
  static async of(
    seed: number,
    channels = 1,
    classes = 0,
    flowMap = false,
    maxGuidance = 1,
  ): Promise<Network> {
    useDevice();
    const options = { ...config, channels, classes, flowMap, maxGuidance };
    const model = models.createModel(options, seed);
    for (const input of ["step", "guidance"]) {
      const weights = models.namedParameters(model).get(`${input}_mlp.2.weight`);
      weights?.write(new Float32Array(weights.size).fill(0.5)); // 0 at start
    }
    const labels = models.namedParameters(model).get("label_emb.weight");
    labels?.write(Float32Array.from({ length: labels.size }, (_, i) => 3 * Math.sin(3 * i))); // so that classes matter
    const info = { config: options, normalization, imageSize: [H, W] } as const;
    return new Network(model, await models.saveCheckpoint(model, info), channels, classes);
  }

  /** The flow from the noise of a seed. */
  async flow(seed: number, how: Solving) {
    return await this.flowFrom(
      models.toPixels(await models.noise(seed, this.#shape).read(), normalization),
      how,
    );
  }

  /** The flow from a state at the step `first`, in pixels. */
  async flowFrom(
    x: Float32Array,
    { solver, steps, times, label, guidance = 1, early }: Solving,
    first = 0,
  ) {
    const condition = label !== undefined && { condition: tensor(Uint32Array.of(label)) };
    const unguided = early ? models.autoguided(this.model, early.model, guidance) : this.model;
    const field = condition && guidance !== 1
      ? models.guided(this.model, { scale: guidance, none: models.noneOf(this.model) })
      : unguided;
    const sampler = new models.Sampler(field, this.#shape, {
      solver,
      ...times ? { times } : { steps },
      ...condition,
    });
    const state = tensor(models.fromPixels(x, normalization), this.#shape);
    const snapshots = await Array.fromAsync(sampler.trajectory(state, { first }));
    return {
      t: Float32Array.from(snapshots, ({ t }) => t),
      ...pixelsOf(snapshots),
      shape: [snapshots.length, this.channels, H, W] as const,
    };
  }

  /** The flows of `three`. */
  async recordedThree() {
    const { seed, labels, ...how } = three;
    const times = models.gridTimes(how.steps, "quadratic");
    const x0 = await models.noise(seed, [3, ...this.#shape.slice(1)]).read();
    const rows = models.toPixels(x0, normalization);
    const P = rows.length / 3;
    return await Promise.all(
      labels.map((label, k) => this.flowFrom(rows.slice(k * P, (k + 1) * P), { ...how, times, label })),
    );
  }

  /** The adaptive flow of dopri5 from the noise of a seed, at 21 equally spaced times, and its cost. */
  async ownSteps(seed: number, tolerance: number) {
    const sampler = new models.AdaptiveSampler(this.model, this.#shape, { rtol: tolerance, atol: tolerance });
    const { evaluations, steps: [tried], snapshots } = await sampler.solve(models.noise(seed, this.#shape), {
      snapshots: Array.from({ length: 21 }, (_, i) => i / 20),
    });
    return { evaluations, tried, ...pixelsOf(snapshots) };
  }

  get #shape() {
    return [1, this.channels, H, W];
  }
}

function pixelsOf(snapshots: readonly models.Snapshot[]) {
  const all = snapshots.map((snapshot) => models.snapshotToPixels(snapshot, normalization));
  return {
    image: Float32Array.from(all.flatMap(({ image }) => [...image])),
    velocity: Float32Array.from(all.flatMap(({ velocity }) => [...velocity ?? []])),
  };
}

/** A run with three recorded samples of a network with three classes; a report embeds two of them only as ends. */
export async function runOfThree(name: string, network: Network): Promise<ReportRun> {
  const [first] = await network.recordedThree();
  const { plane: _, ...rest } = run(name, {
    trajectories: await network.recordedThree(),
    solved: { ...three, times: [...first.t], evaluations: 7 },
    live: { checkpoint: network.checkpoint },
  });
  return rest;
}

/** A run with a recorded sample of a network, and without a plane. */
export async function liveRun(
  name: string,
  network: Network,
  more: Partial<LiveNetwork> = {},
  times?: readonly number[],
): Promise<ReportRun> {
  const { seed, ...how } = recorded;
  const { label, guidance } = conditioning;
  const condition = network.classes > 0 && conditioning;
  const steps = times ? { steps: times.length - 1, times } : {};
  const { plane: _, ...rest } = run(name, {
    trajectories: [await network.flow(seed, { ...how, ...steps, ...condition })],
    solved: { ...recorded, ...steps, ...condition && { labels: [label], guidance } },
    live: { checkpoint: network.checkpoint, ...more },
  });
  return rest;
}
