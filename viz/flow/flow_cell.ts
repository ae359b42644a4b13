import { checkImages, grid } from "../image/grid.ts";
import { colormap, type ColormapName } from "../image/colormap.ts";
import { type Evolution, nearestSnapshot } from "./evolution.ts";
import { encodePng } from "../image/png.ts";
import { type Arrow, blockSize, quiver } from "./quiver.ts";

/**
 * What is drawn of a flow: x with the study's `quiver` over it, the signed `velocity`, the `prediction` of the end
 * point x + (1 - t) v, or x alone (`none`).
 */
export type FlowField = "quiver" | "velocity" | "prediction" | "none";

/** Fields {@linkcode FlowField} names. */
export const flowFields = [
  "quiver",
  "velocity",
  "prediction",
  "none",
] as const satisfies readonly FlowField[];

/** How all cells of a picture are drawn. */
export interface FlowCellOptions {
  readonly field: FlowField;
  readonly map: ColormapName;
  /** Pixels along each side of a value. */
  readonly scale: number;
}

/** Draws images of flows, all under one scale of colours and of arrows. */
export interface FlowCell {
  readonly width: number;
  readonly height: number;
  /** What arrows or colours mean, for a line below; empty if it is plain. */
  readonly note: string;
  /** SVG of the snapshot that is nearest to t, at a place in pixels. */
  draw(evolution: Evolution, t: number, x: number, y: number): string;
}

/** Share of the values that a scale of colours or arrows covers, so that a few large ones do not hide the rest. */
const covered = 0.99;
/** Snapshots looked at for a scale. */
const looks = 50;

/**
 * Makes a painter for flows of one image size.
 *
 * @param evolutions all that will be drawn; the scales fit them
 */
export function flowCell(
  evolutions: readonly Evolution[],
  { field, map, scale }: FlowCellOptions,
): FlowCell {
  const [, H, W] = evolutions[0].shape;
  const palette = colormap(map);
  const heatMap = (values: Float32Array, low: number, high: number, t: number, x: number, y: number) => {
    checkImages(`draw ${field} at t = ${t}`, values, [1, H, W]);
    const png = encodePng(grid(values, [1, H, W], { range: [low, high] }), palette);
    return `<image x="${x}" y="${y}" width="${W * scale}" height="${H * scale}" preserveAspectRatio="none" ` +
      `image-rendering="optimizeSpeed" href="data:image/png;base64,${png.toBase64()}"/>`;
  };
  const size = { width: W * scale, height: H * scale };

  if (field === "velocity") {
    const most = quantile(velocities(evolutions).map((v) => v.map(Math.abs))) || 1;
    const diverging = map === "rdbu"; // drawn from its end: red brightens, blue darkens, as in reports
    const ends = diverging ? ["blue", "red"] : ["dark", "light"];
    return {
      ...size,
      note: `velocity: ${ends[0]} −${most.toFixed(1)}, ${ends[1]} ${most.toFixed(1)}`,
      draw(evolution, t, x, y) {
        const m = nearestSnapshot(evolution.t, t);
        // Nothing was computed at the end: it keeps the last velocity there is.
        const v = velocityAt(evolution, Math.min(m, evolution.shape[0] - 2)) ?? new Float32Array(H * W);
        return heatMap(diverging ? v.map((value) => -value) : v, -most, most, t, x, y);
      },
    };
  }
  if (field === "quiver") {
    const lengths = velocities(evolutions).map((v) =>
      Float32Array.from(quiver(v, [H, W]), ({ dx, dy }) => Math.hypot(dx, dy))
    );
    const unit = blockSize * scale / (quantile(lengths) || 1);
    return {
      ...size,
      note: `arrows: gradient of the velocity’s ${blockSize} × ${blockSize} block means`,
      draw(evolution, t, x, y) {
        const m = nearestSnapshot(evolution.t, t);
        const v = velocityAt(evolution, m);
        const arrows = v ? quiver(v, [H, W]).map((arrow) => arrowPath(arrow, scale, unit)).join("") : "";
        const shape = `<path transform="translate(${x} ${y})" fill="#fff" fill-opacity=".8" d="${arrows}"/>`;
        return heatMap(imageAt(evolution, m), 0, 1, t, x, y) + (arrows && shape);
      },
    };
  }
  return {
    ...size,
    note: field === "prediction" ? "predicted end point x + (1 − t) v" : "",
    draw(evolution, t, x, y) {
      const m = nearestSnapshot(evolution.t, t);
      const v = field === "prediction" ? velocityAt(evolution, m) : undefined;
      const image = imageAt(evolution, m);
      const values = v ? image.map((x, i) => x + (1 - evolution.t[m]) * v[i]) : image;
      return heatMap(values, 0, 1, t, x, y);
    },
  };
}

function imageAt({ image, shape: [, H, W] }: Evolution, m: number): Float32Array {
  return image.subarray(m * H * W, (m + 1) * H * W);
}

/** The velocity at a snapshot; the last has none. */
function velocityAt({ velocity, shape: [M, H, W] }: Evolution, m: number): Float32Array | undefined {
  return m >= 0 && m < M - 1 ? velocity.subarray(m * H * W, (m + 1) * H * W) : undefined;
}

/** Velocities at some of the snapshots, evenly chosen. */
function velocities(evolutions: readonly Evolution[]): Float32Array[] {
  return evolutions.flatMap((evolution) => {
    const last = evolution.shape[0] - 2;
    const chosen = new Set(
      Array.from({ length: looks }, (_, i) => Math.round(i * Math.max(last, 0) / (looks - 1))),
    );
    return [...chosen].flatMap((m) => velocityAt(evolution, m) ?? []);
  });
}

/** What the covered share of all values does not exceed; 0 of none. */
function quantile(parts: readonly Float32Array[]): number {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let start = 0;
  for (const part of parts) {
    all.set(part, start);
    start += part.length;
  }
  all.sort();
  return all.length === 0 ? 0 : all[Math.round(covered * (all.length - 1))];
}

/** An arrow that starts at its point, `unit` pixels a unit long; too short for a head, its head shrinks with it. */
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
