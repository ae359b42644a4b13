import type { Product } from "./product.ts";
import type { ProductSize } from "./product_tiles.ts";
import { repeatLines } from "./repeat_lines.ts";

/** Rows of the result that an invocation holds in registers, by default, and columns, in vectors of four. */
const defaultRows = 8;
const quads = 2;

/** Invocations of a product. */
export function registerTiles({ rows: height, columns, batches }: ProductSize, rows = defaultRows): number {
  return batches * Math.ceil(height / rows) * Math.ceil(columns / (4 * quads));
}

/**
 * A product without workgroup memory, for software adapters: an invocation holds a tile in registers, and each step
 * along the depth loads rows + 4 quads numbers for 4 rows quads multiply-adds.
 *
 * @param rows of the tile
 */
export function registerProductWgsl(product: Product, rows = defaultRows): string {
  const { b } = product;
  return kernelOf(product, rows, {
    before: repeatLines(4 * quads, (c) => `  let b${c} = ${b.edge(`min(left + ${c}u, columns - 1u)`)};`),
    load: (q) => `vec4f(${[0, 1, 2, 3].map((c) => b.element(`b${4 * q + c}`)).join(", ")})`,
    store: repeatLines(
      4 * quads,
      (c) => storedColumn(product, rows, c, "to", (r) => `${sum(r, Math.floor(c / 4))}[${c % 4}]`),
    ),
  });
}

/**
 * The same product where four columns are a vector in memory, of its right factor and of the target, whose indices are
 * those of numbers: software adapters load and store a vector in little more time than a number.
 */
export function vectorProductWgsl(product: Product): string {
  const { edge, vector } = product.b;
  if (!vector) throw new TypeError("Cannot make a product of vectors: its right factor has none");
  return kernelOf(product, defaultRows, {
    before: repeatLines(quads, (q) => `  let b${q} = ${edge(`min(left + ${4 * q}u, columns - 4u)`)};`),
    load: (q) => vector(`b${q}`),
    store: repeatLines(quads, (q) => storedColumn(product, defaultRows, 4 * q, "to / 4u", (r) => sum(r, q))),
  });
}

/** The vector of sums of a row. */
function sum(row: number, quad: number): string {
  return `sum_${row}_${quad}`;
}

/** Parts of the kernel that depend on how columns lie in memory. */
interface Columns {
  readonly before: string;
  /** WGSL expression of four elements of the right factor. */
  readonly load: (quad: number) => string;
  readonly store: string;
}

function kernelOf(product: Product, rows: number, { before, load, store }: Columns): string {
  const { a } = product;
  return `${product.declarations ?? ""}
fn kernel(i: u32) {
  let rows = ${product.rows};
  let columns = ${product.columns};
  let across = (columns + ${4 * quads - 1}u) / ${4 * quads}u;
  let down = (rows + ${rows - 1}u) / ${rows}u;
  let left = i % across * ${4 * quads}u;
  let top = i / across % down * ${rows}u;
  let batch = i / (across * down);
  let depth = ${product.depth};
${repeatLines(rows, (r) => `  let a${r} = ${a.edge(`min(top + ${r}u, rows - 1u)`)};`)}
${before}
${repeatLines(rows, (r) => repeatLines(quads, (q) => `  var ${sum(r, q)} = vec4f();`))}
  for (var k = 0u; k < depth; k++) {
    let d = ${product.position};
${repeatLines(quads, (q) => `    let y${q} = ${load(q)};`)}
${
    repeatLines(rows, (r) =>
      `    let x${r} = ${a.element(`a${r}`)};
${repeatLines(quads, (q) => `    ${sum(r, q)} += x${r} * y${q};`)}`)
  }
  }
${store}
}`;
}

/**
 * Stores what the tile has of a column, or of four from it on, row by row.
 *
 * @param at WGSL of the index in the target, from `to`, that of the number
 * @param value WGSL of what a row has there
 */
function storedColumn(
  { columnContext = "", columnTarget, rowTarget, target, stored = "value" }: Product,
  rows: number,
  column: number,
  at: string,
  value: (row: number) => string,
): string {
  return `  if (left + ${column}u < columns) {
    let column = left + ${column}u;
    ${columnContext}
    let fromColumn = ${columnTarget};
${
    repeatLines(rows, (r) =>
      `    if (top + ${r}u < rows) {
      let row = top + ${r}u;
      let to = fromColumn + ${rowTarget};
      let value = ${value(r)};
      ${target}[${at}] = ${stored};
    }`)
  }
  }`;
}
