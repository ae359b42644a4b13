/** A place in the plane. */
export type Point = readonly [x: number, y: number];

/** Half the side of the visible square: its coordinates range from -3.2 to 3.2. */
export const halfSide = 3.2;

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
  const [first, last] = [stroke[0], stroke[stroke.length - 1]];
  let [farthest, distance] = [0, 0];
  stroke.forEach((point, i) => {
    const away = distanceToPiece(point, first, last);
    if (away > distance) [farthest, distance] = [i, away];
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
