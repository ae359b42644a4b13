import { uniforms } from "../kernels/ops/random.ts";
import { PlaygroundError, type PlaygroundSettings } from "./settings.ts";

/** A place in the plane. */
export type Point = readonly [x: number, y: number];

/** Half the side of the visible square: its coordinates range from -3.2 to 3.2. */
export const halfSide = 3.2;

/** The centre of a cell of a grid over the visible square, [side, side], rows upwards; later grids repeat it. */
export function cellAt(i: number, side: number): Point {
  const along = (at: number) => halfSide * ((at % side + 0.5) / side * 2 - 1);
  return [along(i), along(Math.floor(i / side))];
}

/** Number of points in each data set, a power of two. */
export const pointCount = 1024;

/** Stream of random numbers for the spread of points; training uses lower numbers. */
const stream = 100;

/**
 * The points of a data set, f32[1024, 2], on about the same scale as the noise.
 *
 * They are computed with sums, products and square roots only, which all engines round equally, so that a link trains
 * the same model everywhere.
 */
export function planePoints(
  { data, drawn }: Pick<PlaygroundSettings, "data" | "drawn">,
): Float32Array<ArrayBuffer> {
  const { places, spread } = data === "drawn"
    ? { places: alongLines(drawnStrokes(drawn)), spread: 0.05 }
    : shapes[data]();
  const random = uniforms(46020, stream, 0, 8 * pointCount);
  return Float32Array.from({ length: 2 * pointCount }, (_, i) => {
    let sum = -2;
    for (let k = 0; k < 4; k++) sum += random[4 * i + k];
    return places[i >> 1][i % 2] + spread * 1.732 * sum; // four uniforms have a variance of 1/3
  });
}

/** @throws {PlaygroundError} if there are no strokes */
function drawnStrokes(drawn: string): readonly (readonly Point[])[] {
  const strokes = strokesOf(drawn);
  if (strokes.length > 0) return strokes;
  throw new PlaygroundError("Cannot train on drawn data: there are no strokes (draw some on the page)");
}

/** Places, and the standard deviation of the points around them. */
interface PointSet {
  readonly places: readonly Point[];
  readonly spread: number;
}

const shapes: Readonly<Record<Exclude<PlaygroundSettings["data"], "drawn">, () => PointSet>> = {
  moons() {
    const circle = unitCircle();
    const places = circle.map(([x, y]): Point =>
      y >= 0 ? [1.75 * x - 0.875, 1.75 * y - 0.4] : [1.75 * x + 0.875, 1.75 * y + 0.4]
    );
    return { places, spread: 0.07 };
  },
  ring: () => ({ places: unitCircle().map(([x, y]): Point => [1.8 * x, 1.8 * y]), spread: 0.07 }),
  checkerboard() {
    const inTile = uniforms(46020, stream, 1, 2 * pointCount);
    const places = Array.from({ length: pointCount }, (_, n): Point => {
      const row = n % 4;
      const half = (n >> 2) % 2;
      const column = 2 * half + row % 2;
      return [column - 2 + inTile[2 * n], row - 2 + inTile[2 * n + 1]];
    });
    return { places, spread: 0 };
  },
  spiral() {
    const circle = unitCircle();
    const places = Array.from({ length: pointCount }, (_, n): Point => {
      const share = Math.sqrt(n / pointCount); // equally many points per unit of length
      const [x, y] = circle[Math.floor(share * 2.25 * pointCount) % pointCount];
      return [2.2 * share * x, 2.2 * share * y];
    });
    return { places, spread: 0.05 };
  },
  letters: () => ({ places: alongLines(letters), spread: 0.06 }),
};

/** Points at equal angles on the unit circle, starting at (1, 0). */
function unitCircle(): readonly Point[] {
  let [cosine, sine] = [-1, 0]; // of half a turn, then halved until there is one step per point
  for (let n = 2; n < pointCount; n *= 2) {
    [cosine, sine] = [Math.sqrt((1 + cosine) / 2), Math.sqrt((1 - cosine) / 2)];
  }
  let [x, y] = [1, 0];
  return Array.from({ length: pointCount }, (): Point => {
    const place: Point = [x, y];
    [x, y] = [x * cosine - y * sine, x * sine + y * cosine];
    return place;
  });
}

/** The letters F and M, as lines. */
const letters: readonly (readonly Point[])[] = [
  [[-0.7, 1.6], [-2.2, 1.6], [-2.2, -1.6]],
  [[-2.2, 0.1], [-1, 0.1]],
  [[0.2, -1.6], [0.2, 1.6], [1.2, 0], [2.2, 1.6], [2.2, -1.6]],
];

/** Points spaced equally along lines. */
function alongLines(lines: readonly (readonly Point[])[]): readonly Point[] {
  const pieces = lines.flatMap((line) =>
    line.map((end, i) => {
      const start = line[Math.max(0, i - 1)];
      const [dx, dy] = [end[0] - start[0], end[1] - start[1]];
      return { start, dx, dy, length: Math.sqrt(dx * dx + dy * dy) };
    })
  ).filter(({ length }, _, all) => length > 0 || all.every((piece) => piece.length === 0));
  const total = pieces.reduce((sum, { length }) => sum + length, 0);
  let at = 0; // the piece
  let before = 0; // the length of all pieces before it
  return Array.from({ length: pointCount }, (_, n): Point => {
    if (total === 0) return pieces[n % pieces.length].start;
    const place = total * (n + 0.5) / pointCount;
    while (at < pieces.length - 1 && before + pieces[at].length < place) {
      before += pieces[at].length;
      at++;
    }
    const { start, dx, dy, length } = pieces[at];
    const share = (place - before) / length;
    return [start[0] + share * dx, start[1] + share * dy];
  });
}

/** Resolution of drawn strokes along each axis. */
const places = 250;
/** The byte that ends a stroke. */
const end = 255;

/** Converts a coordinate to an integer in [0, places]. */
const toPlace = (value: number) => {
  const inside = Math.max(-halfSide, Math.min(halfSide, value));
  return Math.round((inside + halfSide) / (2 * halfSide) * places);
};
const fromPlace = (place: number) => place / places * 2 * halfSide - halfSide;

/**
 * Encodes drawn strokes for an address: two bytes per corner, in URL-safe base64. Corners that hardly bend a stroke are
 * dropped.
 */
export function drawnText(strokes: readonly (readonly Point[])[]): string {
  const bytes = strokes.flatMap((stroke) => [
    ...corners(stroke).flatMap(([x, y]) => [toPlace(x), toPlace(y)]),
    end,
  ]);
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Decodes strokes, dropping damaged ones. */
export function strokesOf(text: string): readonly (readonly Point[])[] {
  let letters: string;
  try {
    letters = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  } catch {
    return [];
  }
  const strokes: Point[][] = [[]];
  for (let i = 0; i < letters.length;) {
    const x = letters.charCodeAt(i++);
    if (x === end) strokes.push([]);
    else if (i < letters.length) {
      strokes[strokes.length - 1].push([fromPlace(x), fromPlace(letters.charCodeAt(i++))]);
    }
  }
  return strokes.filter(({ length }) => length > 0);
}

/** The points that a stroke needs to keep its shape. Source: Douglas and Peucker 1973 */
function corners(stroke: readonly Point[], tolerance = 0.02): readonly Point[] {
  if (stroke.length < 3) return stroke;
  const first = stroke[0];
  const last = stroke[stroke.length - 1];
  let farthest = 0;
  let distance = 0;
  stroke.forEach((point, i) => {
    const away = distanceToPiece(point, first, last);
    if (away <= distance) return;
    farthest = i;
    distance = away;
  });
  if (distance <= tolerance) return [first, last];
  const before = corners(stroke.slice(0, farthest + 1), tolerance);
  return [...before.slice(0, -1), ...corners(stroke.slice(farthest), tolerance)];
}

function distanceToPiece([x, y]: Point, [ax, ay]: Point, [bx, by]: Point): number {
  const [dx, dy] = [bx - ax, by - ay];
  const squared = dx * dx + dy * dy;
  const share = squared === 0 ? 0 : Math.max(0, Math.min(1, ((x - ax) * dx + (y - ay) * dy) / squared));
  return Math.hypot(x - ax - share * dx, y - ay - share * dy);
}
