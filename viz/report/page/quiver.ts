/// <reference lib="dom" />

/** The study's arrows: how a field rises between its blocks. */
export interface Quiver {
  /** Blocks down and across. */
  readonly size: readonly [number, number];
  /** Differences of the block means a block, down and across. */
  readonly dy: Float32Array;
  readonly dx: Float32Array;
}

/** Pixels along each side of a block. */
export const block = 4;

/** The gradient of a field's means over 4 x 4 blocks; rows and columns that fill no block are left out. */
export function quiverOf(field: Float32Array, [H, W]: readonly [number, number]): Quiver {
  const size = [Math.floor(H / block), Math.floor(W / block)] as const;
  const [rows, columns] = size;
  const means = new Float32Array(rows * columns);
  for (let y = 0; y < rows * block; y++) {
    for (let x = 0; x < columns * block; x++) {
      means[Math.floor(y / block) * columns + Math.floor(x / block)] += field[y * W + x] / block ** 2;
    }
  }
  // Central differences, one-sided at the edges, as numpy.gradient has them.
  const difference = (length: number, at: (i: number) => number, i: number) => {
    const [before, after] = [Math.max(i - 1, 0), Math.min(i + 1, length - 1)];
    return after > before ? (at(after) - at(before)) / (after - before) : 0;
  };
  const [dy, dx] = [new Float32Array(rows * columns), new Float32Array(rows * columns)];
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      dy[y * columns + x] = difference(rows, (i) => means[i * columns + x], y);
      dx[y * columns + x] = difference(columns, (i) => means[y * columns + i], x);
    }
  }
  return { size, dy, dx };
}

/**
 * Draws arrows over an image of H x W pixels that fills the canvas.
 *
 * @param longest the difference that is drawn as an arrow of one block
 */
export function drawQuiver(
  canvas: HTMLCanvasElement,
  { size: [rows, columns], dy, dx }: Quiver,
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
  for (let i = 0; i < rows * columns; i++) {
    const scale = block * unit / (longest || 1);
    arrow(
      context,
      (i % columns + 0.5) * block * unit,
      (Math.floor(i / columns) + 0.5) * block * unit,
      dx[i] * scale,
      dy[i] * scale,
    );
  }
}

/** An arrow whose middle is at x, y. */
function arrow(context: CanvasRenderingContext2D, x: number, y: number, dx: number, dy: number): void {
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
