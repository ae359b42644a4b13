import { checkCount } from "../../kernels/core/count.ts";

/**
 * Solves the linear assignment problem exactly: which column for each row, each column once, so that the sum of the
 * costs is least. O(n^3), in f64.
 *
 * Rows join one by one. A row takes the end of the shortest path in reduced costs, cost - u - v, that alternates
 * between columns and the rows that hold them; every row on the path then moves on by one column.
 *
 * @param cost f64[n, n], row-major, finite
 * @returns the column of each row, u32[n]
 * @throws {RangeError} if there are not n^2 costs, or one is not finite
 * Source: Jonker and Volgenant 1987; as shortest augmenting paths Crouse 2016, doi:10.1109/TAES.2016.140952
 */
export function assignment(cost: Float64Array, n: number): Uint32Array<ArrayBuffer> {
  checkCount("assign rows to columns", "n", n, 0);
  if (cost.length !== n * n || !cost.every(Number.isFinite)) {
    throw new RangeError(
      `Cannot assign ${n} rows by ${cost.length} costs (expected ${n * n} finite numbers)`,
    );
  }
  const none = -1;
  const [u, v] = [new Float64Array(n), new Float64Array(n)];
  const rowOf = new Int32Array(n).fill(none);
  const columnOf = new Int32Array(n).fill(none);
  for (let start = 0; start < n; start++) {
    const distance = new Float64Array(n).fill(Infinity); // from the start to each column
    const from = new Int32Array(n).fill(none); // the row before each column
    const reached = new Uint8Array(n);
    let [row, length, end] = [start, 0, none];
    while (end === none) {
      let next = none;
      for (let column = 0; column < n; column++) {
        if (reached[column]) continue;
        const through = length + cost[row * n + column] - u[row] - v[column];
        if (through < distance[column]) [distance[column], from[column]] = [through, row];
        if (next === none || distance[column] < distance[next]) next = column;
      }
      length = distance[next];
      reached[next] = 1;
      if (rowOf[next] === none) end = next;
      else row = rowOf[next];
    }
    // Reduced costs on the path become 0, and stay at least 0 elsewhere.
    u[start] += length;
    for (let column = 0; column < n; column++) {
      if (!reached[column]) continue;
      const slack = length - distance[column];
      if (rowOf[column] !== none) u[rowOf[column]] += slack;
      v[column] -= slack;
    }
    for (let column = end; column !== none;) {
      row = from[column];
      rowOf[column] = row;
      [columnOf[row], column] = [column, columnOf[row]];
    }
  }
  return Uint32Array.from(columnOf);
}
