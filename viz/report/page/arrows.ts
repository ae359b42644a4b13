/// <reference lib="dom" />
import { type Arrow, blockSize } from "../../flow/quiver.ts";

/**
 * Draws arrows over an image of H x W pixels that fills the canvas.
 *
 * @param longest the length that is drawn as an arrow of one block
 */
export function drawArrows(
  canvas: HTMLCanvasElement,
  arrows: readonly Arrow[],
  [H, W]: readonly [number, number],
  longest: number,
): void {
  const side = Math.round(canvas.clientWidth * devicePixelRatio);
  const unit = side / W;
  Object.assign(canvas, { width: side, height: Math.round(unit * H) });
  const context = canvas.getContext("2d")!;
  context.strokeStyle = "rgb(255 255 255 / 0.85)";
  context.lineWidth = Math.max(1, unit * 0.22);
  context.lineCap = "round";
  const scale = blockSize * unit / (longest || 1);
  for (const { x, y, dx, dy } of arrows) drawArrow(context, x * unit, y * unit, dx * scale, dy * scale);
}

/** An arrow whose middle is at x, y. */
function drawArrow(context: CanvasRenderingContext2D, x: number, y: number, dx: number, dy: number): void {
  const length = Math.hypot(dx, dy);
  if (length < 1) return;
  const [endX, endY] = [x + dx / 2, y + dy / 2];
  const head = Math.min(0.35 * length, 12 * devicePixelRatio);
  const angle = Math.atan2(dy, dx);
  context.beginPath();
  context.moveTo(x - dx / 2, y - dy / 2);
  context.lineTo(endX, endY);
  for (const side of [-0.5, 0.5]) {
    context.moveTo(endX, endY);
    context.lineTo(endX - head * Math.cos(angle + side), endY - head * Math.sin(angle + side));
  }
  context.stroke();
}
