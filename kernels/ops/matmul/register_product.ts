import type { Product } from "./product.ts";
import type { ProductSize } from "./product_tiles.ts";
import { repeatLines } from "./repeat_lines.ts";

/** Rows, and columns in fours, of the result that an invocation holds in registers. */
const rows = 8;
const quads = 2;

/** Invocations of a product. */
export function registerTiles({ rows: height, columns, batches }: ProductSize): number {
  return batches * Math.ceil(height / rows) * Math.ceil(columns / (4 * quads));
}

/**
 * A product without workgroup memory, for software adapters: an invocation holds a tile in registers, and each step
 * along the depth loads rows + 4 quads numbers for 4 rows quads multiply-adds.
 */
export function registerProductWgsl(product: Product): string {
  const { a, b, target, stored = "value" } = product;
  const sum = (r: number, q: number) => `sum_${r}_${q}`;
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
${repeatLines(4 * quads, (c) => `  let b${c} = ${b.edge(`min(left + ${c}u, columns - 1u)`)};`)}
${repeatLines(rows, (r) => repeatLines(quads, (q) => `  var ${sum(r, q)} = vec4f();`))}
  for (var k = 0u; k < depth; k++) {
    let d = ${product.position};
${
    repeatLines(quads, (q) =>
      `    let y${q} = vec4f(${[0, 1, 2, 3].map((c) => b.element(`b${4 * q + c}`)).join(", ")});`)
  }
${
    repeatLines(rows, (r) =>
      `    let x${r} = ${a.element(`a${r}`)};
${repeatLines(quads, (q) => `    ${sum(r, q)} += x${r} * y${q};`)}`)
  }
  }
${
    repeatLines(4 * quads, (c) =>
      `  if (left + ${c}u < columns) {
    let column = left + ${c}u;
    ${product.columnContext ?? ""}
    let fromColumn = ${product.columnTarget};
${
        repeatLines(rows, (r) =>
          `    if (top + ${r}u < rows) {
      let row = top + ${r}u;
      let to = fromColumn + ${product.rowTarget};
      let value = ${sum(r, Math.floor(c / 4))}[${c % 4}];
      ${target}[to] = ${stored};
    }`)
      }
  }`)
  }
}`;
}
