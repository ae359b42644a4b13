import type { Tensor } from "./tensor.ts";

/** The method that Deno's Jupyter kernel calls on the last value of a cell to display it. */
export const tensorDisplay: unique symbol = Symbol.for("Jupyter.display");

/** The method that `console.log` calls in Deno and Node. */
export const tensorInspection: unique symbol = Symbol.for("nodejs.util.inspect.custom");

/** Type, shape and device, `f32[2, 3] on cpu`. */
export function describeTensor(tensor: Tensor): string {
  return `${tensor} on ${tensor.device.kind}`;
}

const [mostRows, mostColumns] = [6, 8];

/**
 * What a notebook shows of a tensor: type, shape, device and the corner of its first matrix. Reads only what it shows.
 *
 * @throws {DeviceError} if an earlier op failed on the device
 */
export async function showTensor(tensor: Tensor): Promise<{ "text/plain": string; "text/html": string }> {
  const [rows, columns] = [tensor.shape.at(-2) ?? 1, tensor.shape.at(-1) ?? 1];
  const corner = tensor.size === 0 ? [] : await Promise.all(
    Array.from(
      { length: Math.min(rows, mostRows) },
      (_, row) => valuesOf(tensor, row * columns, Math.min(columns, mostColumns)),
    ),
  );
  const lines = corner.map((values) => [
    ...Array.from(values, (value) => tensor.type === "u32" ? `${value}` : `${Number(value.toPrecision(4))}`),
    ...(columns > mostColumns ? ["…"] : []),
  ]);
  if (rows > mostRows) lines.push(Array.from(lines[0] ?? [], () => "…"));
  const title = describeTensor(tensor) + partOf(tensor);
  const width = Math.max(...lines.flat().map(({ length }) => length));
  const cells = lines.map((line) => `<tr>${line.map((value) => `<td>${value}</td>`).join("")}</tr>`);
  return {
    "text/plain": [title, ...lines.map((line) => line.map((value) => value.padStart(width)).join(" "))].join(
      "\n",
    ),
    "text/html": `<table><caption>${title}</caption>${cells.join("")}</table>`,
  };
}

async function valuesOf({ device, storage, offset, type }: Tensor, start: number, length: number) {
  const buffer = await device.read(storage.range(offset + start, length));
  return type === "u32" ? new Uint32Array(buffer) : new Float32Array(buffer);
}

/** Says which matrix is shown of a tensor with more than two axes. */
function partOf({ shape }: Tensor): string {
  return shape.length > 2
    ? `, of it [${shape.map((_, axis) => axis < shape.length - 2 ? "0" : ":").join(", ")}]`
    : "";
}
