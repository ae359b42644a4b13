/** The shape of points, by Plotly's name. */
export type PointMark = "circle" | "square" | "diamond" | "triangle-up" | "triangle-down";

/** SVG outlines of marks about as large as a unit circle. */
const outlines: Readonly<Record<PointMark, string>> = {
  circle: "M-1 0a1 1 0 1 0 2 0a1 1 0 1 0-2 0z",
  square: "M-.9-.9h1.8v1.8h-1.8z",
  diamond: "M0-1.25L1.25 0 0 1.25-1.25 0z",
  "triangle-up": "M0-1.2L1.15.8h-2.3z",
  "triangle-down": "M0 1.2L1.15-.8h-2.3z",
};

/** All shapes of points. */
export const pointMarks = Object.keys(outlines) as readonly PointMark[];

/** Draws a mark as SVG, in the colour of the text around it. */
export function markSvg(mark: PointMark, x: number, y: number, radius: number): string {
  return `<path transform="translate(${x} ${y}) scale(${radius})" d="${outlines[mark]}"/>`;
}
