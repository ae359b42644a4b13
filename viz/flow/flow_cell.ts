import { colormap, type ColormapName, defaultMaps } from "../image/colormap.ts";
import { channelMean } from "../image/image_shape.ts";
import { svgImage } from "../image/sheet.ts";
import { imageAt, imageSizeOf, nearestSnapshot, type Trajectory, velocityAt } from "./trajectory.ts";
import { type Arrow, blockSize, quiver } from "./quiver.ts";

/** Names of {@linkcode FlowField}. */
export const flowFields = ["quiver", "velocity", "prediction", "none"] as const;

/**
 * What to draw of a flow: x with the reference's `quiver` over it, the signed `velocity`, the `prediction` of the end
 * point x + (1 - t) v, or x alone (`none`). Images with three channels show x and the prediction in colour; velocity
 * and quiver are averaged over channels.
 */
export type FlowField = typeof flowFields[number];

/** Options for all cells of a picture. */
export interface FlowCellOptions {
  readonly field: FlowField;
  readonly map: ColormapName;
  /** Pixels along each side of a value. */
  readonly scale: number;
}

/** Draws snapshots of trajectories, all on the same scales of colours and arrows. */
export interface FlowCell {
  readonly width: number;
  readonly height: number;
  /** A line that explains arrows or colours; empty if there are none. */
  readonly note: string;
  /** SVG of the snapshot nearest to t, placed at (x, y) in pixels. */
  draw(trajectory: Trajectory, t: number, x: number, y: number): string;
}

/** Share of the values that the scale of colours or arrows covers: outliers would flatten all others. */
const covered = 0.99;
/** Number of snapshots that determine a scale. */
const sampledSnapshots = 50;

/**
 * Prepares to draw trajectories of one image size.
 *
 * @param trajectories all trajectories to draw; they determine the scales
 */
export function flowCell(
  trajectories: readonly Trajectory[],
  { field, map, scale }: FlowCellOptions,
): FlowCell {
  const size = imageSizeOf(trajectories[0]);
  const [C, H, W] = size;
  const palette = colormap(map);
  const mean = (values: Float32Array) => channelMean(values, size);
  const ofChannels = C === 1 ? "" : ", mean over channels";
  let note = "";
  let range: readonly [low: number, high: number] = [0, 1];
  /** Values to draw of a snapshot, of 1 or C channels, and the arrows over them as an SVG path. */
  let values: (trajectory: Trajectory, m: number) => Float32Array = imageAt;
  let arrows = (_trajectory: Trajectory, _m: number, _t: number) => "";
  if (field === "velocity") {
    const limit = quantile(velocities(trajectories).map((v) => mean(v).map(Math.abs))) || 1;
    const diverging = map === defaultMaps.signed; // reversed, as in reports: red brightens, blue darkens
    const ends = diverging ? ["blue", "red"] : ["dark", "light"];
    note = `velocity${ofChannels}: ${ends[0]} −${limit.toFixed(1)}, ${ends[1]} ${limit.toFixed(1)}`;
    range = [-limit, limit];
    values = (trajectory, m) => {
      // The last snapshot has no velocity: show that of the one before.
      const last = velocityAt(trajectory, Math.min(m, trajectory.shape[0] - 2));
      return last ? mean(last).map((value) => diverging ? -value : value) : new Float32Array(H * W);
    };
  } else if (field === "quiver") {
    const lengths = velocities(trajectories).map((v) =>
      Float32Array.from(quiver(mean(v), [H, W]), ({ dx, dy }) => Math.hypot(dx, dy))
    );
    const unit = blockSize * scale / (quantile(lengths) || 1);
    note = `arrows: towards higher velocity, mean of ${blockSize} × ${blockSize} pixels${ofChannels}`;
    arrows = (trajectory, m, t) => {
      const v = velocityAt(trajectory, m);
      const all = v ? quiver(finite(mean(v), W, t), [H, W]) : [];
      return all.map((arrow) => arrowPath(arrow, scale, unit)).join("");
    };
  } else if (field === "prediction") {
    note = "predicted end point x + (1 − t) v";
    values = (trajectory, m) => {
      const image = imageAt(trajectory, m);
      const v = velocityAt(trajectory, m);
      return v ? image.map((value, i) => value + (1 - trajectory.t[m]) * v[i]) : image;
    };
  }
  return {
    width: W * scale,
    height: H * scale,
    note,
    draw(trajectory, t, x, y) {
      const m = nearestSnapshot(trajectory.t, t);
      const shown = values(trajectory, m);
      const shape = [shown.length / (H * W), H, W] as const;
      const image = svgImage(`draw ${field} at t = ${t}`, shown, shape, {
        at: [x, y],
        scale,
        range,
        palette,
      });
      const path = arrows(trajectory, m, t);
      return image +
        (path && `<path transform="translate(${x} ${y})" fill="#fff" fill-opacity=".8" d="${path}"/>`);
    },
  };
}

/** Throws unless all velocities are finite, as arrows must be. */
function finite(velocity: Float32Array, W: number, t: number): Float32Array {
  const i = velocity.findIndex((value) => !Number.isFinite(value));
  if (i < 0) return velocity;
  const where = `row ${Math.floor(i / W)}, column ${i % W}`;
  throw new RangeError(
    `Cannot draw quiver at t = ${t}: velocity is ${velocity[i]} at ${where} (expected finite numbers)`,
  );
}

/** Velocities at some evenly spaced snapshots. */
function velocities(trajectories: readonly Trajectory[]): Float32Array[] {
  return trajectories.flatMap((trajectory) => {
    const last = trajectory.shape[0] - 2;
    const chosen = new Set(
      Array.from(
        { length: sampledSnapshots },
        (_, i) => Math.round(i * Math.max(last, 0) / (sampledSnapshots - 1)),
      ),
    );
    return [...chosen].flatMap((m) => velocityAt(trajectory, m) ?? []);
  });
}

/** The quantile `covered` of all values; 0 if there are none. */
function quantile(parts: readonly Float32Array[]): number {
  const all = Float32Array.from(parts.flatMap((part) => [...part])).sort();
  return all.length === 0 ? 0 : all[Math.round(covered * (all.length - 1))];
}

/** SVG path of an arrow, `unit` pixels per unit of length; a short arrow has a smaller head. */
function arrowPath({ x, y, dx, dy }: Arrow, scale: number, unit: number): string {
  const length = unit * Math.hypot(dx, dy);
  if (length < 0.5) return "";
  const [cos, sin] = [unit * dx / length, unit * dy / length];
  const thickness = Math.max(0.1 * scale, 0.9);
  const head = Math.min(4.5 * thickness, length);
  const half = head / 3;
  const shaft = Math.min(thickness / 2, half / 2);
  const points = [
    [0, -shaft],
    [length - head, -shaft],
    [length - head, -half],
    [length, 0],
    [length - head, half],
    [length - head, shaft],
    [0, shaft],
  ];
  const placed = points.map(([along, across]) =>
    `${(x * scale + along * cos - across * sin).toFixed(1)} ${
      (y * scale + along * sin + across * cos).toFixed(1)
    }`
  );
  return `M${placed.join("L")}Z`;
}
