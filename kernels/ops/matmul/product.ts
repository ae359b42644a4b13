import { refuse } from "../../core/checks.ts";
import { lanesOf, type ProductSize, type ProductTile } from "./product_tiles.ts";

/**
 * Lines of WGSL for i from 0 to n - 1. Register tiles are unrolled, because Chromium's software adapter takes minutes
 * to compile loops over vectors with variable indices.
 */
export function repeatLines(n: number, line: (i: number) => string): string {
  return Array.from({ length: n }, (_, i) => line(i)).join("\n");
}

/** The same for all i below n and j below m. */
export function repeatGrid(n: number, m: number, line: (i: number, j: number) => string): string {
  return repeatLines(n, (i) => repeatLines(m, (j) => line(i, j)));
}

/** A vector in WGSL, by its four elements. */
export function vectorOf(element: (j: number) => string): string {
  return `vec4f(${[0, 1, 2, 3].map(element).join(", ")})`;
}

/**
 * One factor of a product. Its functions work on structs declared by the op, so that what depends only on the row (or
 * column) is computed once, before the loop over the depth.
 */
interface Factor {
  /** Which axis is contiguous in memory: neighbouring lanes read along it. */
  readonly along: "depth" | "edge";
  /** WGSL expressions: the struct of a row (or column), computed before the loop, and the element there at `d`. */
  readonly edge: (index: string) => string;
  readonly element: (edge: string) => string;
  /** Four elements along the edge, from a multiple of four on, if the factor's buffer is declared as vectors. */
  readonly vector?: (edge: string) => string;
}

/** A matrix product inside an op: y[row, column] = sum over d of a[row, d] b[d, column], for every `batch`. */
export interface Product {
  /** WGSL declarations used by the expressions. */
  readonly declarations?: string;
  /** WGSL expressions of the lengths, in terms of `dims`; `depth` may use `batch`. */
  readonly rows: string;
  readonly columns: string;
  readonly depth: string;
  /** WGSL expression computed from the position `k` along the depth; elements see it as `d`. */
  readonly position: string;
  readonly a: Factor;
  readonly b: Factor;
  /** WGSL statements for every column, which the two expressions below may use. */
  readonly columnContext?: string;
  /** WGSL expression that depends on `column`, which `stored` sees as `added`: the position of the column's addend. */
  readonly columnAdded?: string;
  /** WGSL expressions of index in y: the part that depends on `column`, and the part of `row`. Both may use `batch`. */
  readonly columnTarget: string;
  readonly rowTarget: string;
  readonly target: string;
  /** WGSL expression to store, from `value`, `row`, `added` and `to`, the index in the target. */
  readonly stored?: string;
  /** A buffer laid out like the target, which is added to the product. */
  readonly addend?: string;
}

/**
 * A product with workgroup memory: the lanes load a slice of both factors, `depth` deep, then each lane multiplies its
 * rows by its columns from there, in vectors of four columns.
 *
 * Slices are stored as [depth][edge / 4] vectors, one vector longer than needed, so that lanes that store along the
 * depth use different banks. Vectors are stored whole, because writing one component may touch the others. The steps of
 * a slice are written out, because drivers do not unroll the loops that WebGPU makes safe. Lanes with few sums load the
 * next slice before they multiply.
 *
 * @param inVectors whether the right factor and the target are declared as vectors of four columns
 */
export function productWgsl(tile: ProductTile, product: Product, inVectors = false): string {
  const lanes = lanesOf(tile);
  const { a, b, target } = product;
  const at = inVectors ? "to / 4u" : "to";
  const vectorOfB = inVectors ? b.vector : undefined;
  const sides = [
    { ...a, name: "A", quads: tile.rows / 4, origin: "row0", last: "rows", vector: undefined },
    { ...b, name: "B", quads: tile.columns / 4, origin: "column0", last: "columns", vector: vectorOfB },
  ];
  const across = tile.columns / tile.laneColumns; // lanes side by side
  const down = tile.rows / tile.laneRows;
  const rowQuads = tile.laneRows / 4;
  const columnQuads = tile.laneColumns / 4;

  /** The vectors of a slice that a lane loads: their positions, the part computed before the loop, and the loads. */
  const loads = sides.map(({ name, along, quads, origin, last, edge, element, vector }) => {
    const count = Math.ceil(quads * tile.depth / lanes);
    const partial = quads * tile.depth % lanes !== 0;
    const inner = along === "depth" ? tile.depth : quads; // divides the lanes, so each lane keeps its position
    const still = `lane % ${inner}u`;
    const moving = (i: number) => `lane / ${inner}u + ${i * lanes / inner}u`;
    const at = (i: number) =>
      along === "depth" ? { depth: still, quad: moving(i) } : { depth: moving(i), quad: still };
    const edgeOf = (i: number) => (j: number) =>
      `  let edge${name}${i}_${j} = ${
        edge(`min(${origin} + 4u * quad${name}${i} + ${j}u, ${last} - ${vector ? 4 : 1}u)`)
      };`;
    const before = repeatLines(count, (i) =>
      `  let depth${name}${i} = ${at(i).depth};
  let quad${name}${i} = ${at(i).quad};
  var next${name}${i} = vec4f();
${repeatLines(vector ? 1 : 4, edgeOf(i))}`);
    const ofLanes = (i: number, work: string) =>
      partial ? `    if (lane + ${i * lanes}u < ${quads * tile.depth}u) { ${work} }` : `    { ${work} }`;
    const load = (start: string) =>
      repeatLines(count, (i) => {
        const loaded = vector
          ? vector(`edge${name}${i}_0`)
          : vectorOf((j) => element(`edge${name}${i}_${j}`));
        return ofLanes(
          i,
          `let k = ${start} + depth${name}${i};
      let within = k < depth;
      let d = ${product.position};
      next${name}${i} = select(vec4f(), ${loaded}, within);`,
        );
      });
    const store = repeatLines(
      count,
      (i) => ofLanes(i, `slice${name}[depth${name}${i}][quad${name}${i}] = next${name}${i};`),
    );
    const slice = `var<workgroup> slice${name}: array<array<vec4f, ${quads + 1}>, ${tile.depth}>;`;
    return { slice, before, load, store };
  });

  /** Code that depends only on the row, which drivers do not move out of the branches of columns. */
  const rowBefore = (r: number) =>
    `  let rowOf${r} = row0 + 4u * (laneRow + ${(r >> 2) * down}u) + ${r & 3}u;
  var fromRow${r} = 0u;
  { let row = rowOf${r}; fromRow${r} = ${product.rowTarget}; }`;
  const store = (q: number, j: number) =>
    `  {
    let column = column0 + 4u * (laneColumn + ${q * across}u) + ${j}u;
    if (column < columns) {
      ${product.columnContext ?? ""}
      let fromColumn = ${product.columnTarget};
      ${product.columnAdded ? `let added = ${product.columnAdded};` : ""}
${repeatLines(tile.laneRows, storeRow(q, j))}
    }
  }`;
  const storeRow = (q: number, j: number) => (r: number) =>
    `      if (rowOf${r} < rows) {
        let row = rowOf${r};
        let to = fromColumn + fromRow${r};
        let value = ${sum(r, q)}${inVectors ? "" : `[${j}]`};
        ${target}[${at}] = ${storedIn(product, at)};
      }`;
  const step = (k: number) =>
    `    {
${repeatLines(rowQuads, (i) => `      let a${i} = sliceA[${k}][laneRow + ${i * down}u];`)}
${repeatLines(columnQuads, (q) => `      let b${q} = sliceB[${k}][laneColumn + ${q * across}u];`)}
${repeatGrid(tile.laneRows, columnQuads, (r, q) => `      ${sum(r, q)} += a${r >> 2}[${r & 3}] * b${q};`)}
    }`;

  const load = (start: string) => loads.map(({ load }) => load(start)).join("\n");
  const isAhead = tile.laneRows * tile.laneColumns <= 32; // else registers are short
  return `${product.declarations ?? ""}
${loads.map(({ slice }) => slice).join("\n")}
fn kernel(group: u32, lane: u32) {
  let rows = ${product.rows};
  let columns = ${product.columns};
  let tilesDown = (rows + ${tile.rows - 1}u) / ${tile.rows}u;
  let tilesAcross = (columns + ${tile.columns - 1}u) / ${tile.columns}u;
  let row0 = group % tilesDown * ${tile.rows}u;
  let column0 = group / tilesDown % tilesAcross * ${tile.columns}u;
  let batch = group / (tilesDown * tilesAcross);
  let depth = ${product.depth};
  let laneColumn = lane % ${across}u;
  let laneRow = lane / ${across}u;
${loads.map(({ before }) => before).join("\n")}
${repeatGrid(tile.laneRows, columnQuads, (r, q) => `  var ${sum(r, q)} = vec4f();`)}
${isAhead ? load("0u") : ""}
  for (var start = 0u; start < depth; start += ${tile.depth}u) {
${isAhead ? "" : load("start")}
${loads.map(({ store }) => store).join("\n")}
    workgroupBarrier();
${isAhead ? load(`start + ${tile.depth}u`) : ""}
${repeatLines(tile.depth, step)}
    workgroupBarrier();
  }
${repeatLines(tile.laneRows, rowBefore)}
${repeatGrid(columnQuads, inVectors ? 1 : 4, store)}
}`;
}

/** Default numbers of rows, and of vectors of four columns, that an invocation holds in registers. */
const defaultRows = 8;
const quads = 2;

/** WGSL of what is stored at an index. */
function storedIn({ stored = "value", addend }: Product, at: string): string {
  return addend ? `${stored} + ${addend}[${at}]` : stored;
}

/** Number of invocations of a product. */
export function registerTiles({ rows: height, columns, batches }: ProductSize, rows = defaultRows): number {
  return batches * Math.ceil(height / rows) * Math.ceil(columns / (4 * quads));
}

/**
 * A product without workgroup memory, for software adapters: an invocation holds a tile in registers, and each step
 * along the depth loads rows + 4 quads numbers for 4 rows quads multiply-adds.
 *
 * @param rows number of rows of the tile
 */
export function registerProductWgsl(product: Product, rows = defaultRows): string {
  const { b } = product;
  return kernelOf(product, rows, {
    before: repeatLines(4 * quads, (c) => `  let b${c} = ${b.edge(`min(left + ${c}u, columns - 1u)`)};`),
    load: (q) => vectorOf((c) => b.element(`b${4 * q + c}`)),
    store: repeatLines(
      4 * quads,
      (c) => storedColumn(product, rows, c, "to", (r) => `${sum(r, Math.floor(c / 4))}[${c % 4}]`),
    ),
  });
}

/**
 * The same product with four columns per vector in memory, in its right factor and in the target; indices still count
 * numbers. Software adapters load and store a vector in little more time than a number.
 */
export function vectorProductWgsl(product: Product): string {
  const { edge, vector } = product.b;
  if (!vector) refuse(TypeError, "make a product of vectors: its right factor has none");
  return kernelOf(product, defaultRows, {
    before: repeatLines(quads, (q) => `  let b${q} = ${edge(`min(left + ${4 * q}u, columns - 4u)`)};`),
    load: (q) => vector(`b${q}`),
    store: repeatLines(quads, (q) => storedColumn(product, defaultRows, 4 * q, "to / 4u", (r) => sum(r, q))),
  });
}

function sum(row: number, quad: number): string {
  return `sum_${row}_${quad}`;
}

/** The parts of the kernel that depend on the memory layout of columns. */
interface Columns {
  readonly before: string;
  /** WGSL expression of four elements of the right factor. */
  readonly load: (quad: number) => string;
  readonly store: string;
}

function kernelOf(product: Product, rows: number, { before, load, store }: Columns): string {
  const { a } = product;
  const multiply = (r: number) =>
    `    let x${r} = ${a.element(`a${r}`)};\n${
      repeatLines(quads, (q) => `    ${sum(r, q)} += x${r} * y${q};`)
    }`;
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
${repeatGrid(rows, quads, (r, q) => `  var ${sum(r, q)} = vec4f();`)}
  for (var k = 0u; k < depth; k++) {
    let d = ${product.position};
${repeatLines(quads, (q) => `    let y${q} = ${load(q)};`)}
${repeatLines(rows, multiply)}
  }
${store}
}`;
}

/**
 * Stores one column of the tile, or four from it on, row by row.
 *
 * @param at WGSL of the index in the target, from the scalar index `to`
 * @param value WGSL of the value in a row
 */
function storedColumn(
  product: Product,
  rows: number,
  column: number,
  at: string,
  value: (row: number) => string,
): string {
  const { columnContext = "", columnAdded, columnTarget, rowTarget, target } = product;
  const store = (r: number) =>
    `    if (top + ${r}u < rows) {
      let row = top + ${r}u;
      let to = fromColumn + ${rowTarget};
      let value = ${value(r)};
      ${target}[${at}] = ${storedIn(product, at)};
    }`;
  return `  if (left + ${column}u < columns) {
    let column = left + ${column}u;
    ${columnContext}
    let fromColumn = ${columnTarget};
    ${columnAdded ? `let added = ${columnAdded};` : ""}
${repeatLines(rows, store)}
  }`;
}
