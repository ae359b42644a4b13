import type { Arrow } from "./quiver.ts";

/**
 * SVG path of an arrow that starts at its point, `unit` pixels per unit of length; a short arrow has a smaller head.
 */
export function arrowPath({ x, y, dx, dy }: Arrow, scale: number, unit: number): string {
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
