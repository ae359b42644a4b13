import type { DeviceChoice } from "../../kernels/mod.ts";
import { checkFinite, decodeSafetensors, encodeNpy, noise, solveFlow } from "../../models/mod.ts";
import { openDevice, PlaneTraining, planeWeights } from "../../playground/plane_training.ts";
import { settingsOf } from "../../playground/settings.ts";
import { halfSide } from "../../playground/strokes.ts";
import { encodeRasterPng, figure, rasterizer } from "../../viz/mod.ts";
import * as flow from "../../web/mod.ts";
import { say } from "../cli/output.ts";
import { writeAtomic } from "../run/run_folder.ts";
import { ConfigError, flagOf } from "../cli/settings.ts";
import { makeSolver } from "../cli/solver.ts";
import { checkSolver, formatCost, solvingError, usualSolver, withSeed } from "./samples.ts";
import { isFile, readCheckpoint } from "./load_network.ts";

/** Whether a word names weights that the playground saved in the plane. */
export async function isPlaneCheckpoint(checkpoint: string): Promise<boolean> {
  if (!isFile(checkpoint)) return false;
  return decodeSafetensors(await readCheckpoint(checkpoint), checkpoint).metadata.network === planeWeights;
}

/** Settings of a drawing; all other settings must be absent. */
interface PlaneDrawing extends Record<string, unknown> {
  readonly checkpoint: string;
  readonly count: number;
  readonly seed: number;
  readonly solver: string | null;
  readonly out: string;
  readonly device: DeviceChoice;
  readonly threads: number;
}

/**
 * Draws points from weights that the playground saved: a picture, or an array f32[N, 2].
 *
 * @throws {ConfigError} if a setting is for networks of images, or the network cannot use the solver
 */
export async function drawPlanePoints(config: PlaneDrawing): Promise<void> {
  const { checkpoint, count, seed, solver, out, device: kind, threads, inFullRows: _, ...ofImages } = config;
  const unsuited = Object.entries(ofImages).find(([, value]) => value && value !== "pixels");
  if (unsuited) {
    throw new ConfigError(
      `Cannot use ${
        flagOf(unsuited[0])
      } with ${checkpoint}: its network draws points in the plane (leave it out)`,
    );
  }
  if (!/\.(png|npy)$/.test(out)) {
    throw new ConfigError(
      `Cannot use --out ${out} with ${checkpoint}: its network draws points (expected .png or .npy)`,
    );
  }
  const { tensors, metadata } = decodeSafetensors(await readCheckpoint(checkpoint), checkpoint);
  const { settings, problems } = settingsOf(`${metadata.address}`);
  if (problems.length > 0) {
    throw new ConfigError(`Cannot draw from ${checkpoint}: in its address, ${problems.join("; ")}`);
  }
  const device = await openDevice(flow, threads, kind === "webgpu" ? kind : "cpu");
  const training = new PlaneTraining(flow, settings);
  checkFinite(tensors, checkpoint);
  training.load(tensors, checkpoint);
  const { field } = training;
  const { how, description } = makeSolver(solver ?? usualSolver(field));
  checkSolver(field, how, checkpoint);
  const { samples, ...cost } = await solveFlow(
    field,
    noise(seed, [count, 2]),
    withSeed(how, seed),
  ).catch((error) => {
    throw solvingError(error, checkpoint);
  });
  await writeAtomic(out, out.endsWith(".npy") ? encodeNpy([count, 2], samples) : await scatter(samples));
  say(`${count} points, ${description}, ${formatCost(cost)}, on ${device.description}: ${out}`);
  device.close();
}

/** A picture of points, f32[N, 2], in the square that the playground shows. */
async function scatter(points: Float32Array): Promise<Uint8Array> {
  const axis = (k: number) => points.filter((_, i) => i % 2 === k);
  const range = [-halfSide, halfSide] as const;
  const { svg } = figure([{ x: axis(0), y: axis(1), mode: "markers", size: 3 }], {
    width: 500,
    height: 500,
    xRange: range,
    yRange: range,
    equalAxes: true,
  });
  return encodeRasterPng((await rasterizer())(svg));
}
