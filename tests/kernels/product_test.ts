import assert from "node:assert/strict";
import {
  full,
  gradients,
  linear,
  matmul,
  matmulTransposedA,
  matmulTransposedB,
  multiply,
  subtract,
  sum,
  tensor,
  transpose,
  uniforms,
} from "../../kernels/mod.ts";
import { productWgsl } from "../../kernels/ops/matmul/product.ts";
import { chooseTile, lanesOf, tiles } from "../../kernels/ops/matmul/product_tiles.ts";
import { assertClose, testOnAllKernels } from "../testing.ts";
import { hiddenOp } from "./oracle.ts";

/** [M, K] times [K, N], neither a multiple of any tile. */
const [M, K, N] = [70, 37, 261];
const signature = "a[M, K], b[K, N] -> y[M, N]";

/** a[M, K] times b[K, N] in f64. */
function product(a: Float32Array, b: Float32Array, M: number, K: number, N: number): Float64Array {
  return Float64Array.from({ length: M * N }, (_, i) => {
    let total = 0;
    for (let k = 0; k < K; k++) total += a[Math.floor(i / N) * K + k] * b[k * N + i % N];
    return total;
  });
}

const random = (stream: number, count: number) =>
  Float32Array.from(uniforms(3, stream, 1, count), (u) => 2 * u - 1);

const multiplied = (a: Float32Array, b: Float32Array) => product(a, b, M, K, N);

testOnAllKernels("products of every depth from 1 to 200 equal those in f64", async () => {
  const [rows, columns] = [7, 21];
  for (let depth = 1; depth <= 200; depth++) {
    const left = random(1, rows * depth), right = random(2, depth * columns);
    const a = tensor(left, [rows, depth]), b = tensor(right, [depth, columns]);
    const expected = product(left, right, rows, depth, columns);
    for (
      const y of [matmul(a, b), matmulTransposedB(a, transpose(b)), matmulTransposedA(transpose(a), b)]
    ) assertClose(await y.read(), expected, 1e-5, `depth ${depth}`);
  }
});

testOnAllKernels("products of depth 100,000 are exact to 1e-6, and have their gradients", async () => {
  const depth = 100_003,
    left = random(1, 2 * depth).map(Math.abs),
    right = random(2, depth * 3).map(Math.abs);
  const a = tensor(left, [2, depth]), b = tensor(right, [depth, 3]), dy = tensor(random(3, 6), [2, 3]);
  const expected = product(left, right, 2, depth, 3);
  const [da, db] = await Promise.all(
    [matmulTransposedB(dy, b), matmulTransposedA(a, dy)].map((slope) => slope.read()),
  );
  const products = {
    matmul: () => matmul(a, b),
    matmulTransposedB: () => matmulTransposedB(a, transpose(b)),
    matmulTransposedA: () => matmulTransposedA(transpose(a), b),
    linear: () => subtract(linear(a, transpose(b), full([3], 1)), 1),
  };
  for (const [name, multiplied] of Object.entries(products)) {
    const y = multiplied(), slopes = gradients(sum(multiply(y, dy)), [a, b]);
    assertClose(await y.read(), expected, 1e-6, name);
    assertClose(await slopes[0].read(), da, 1e-6, `da of ${name}`);
    assertClose(await slopes[1].read(), db, 1e-6, `db of ${name}`);
  }
});

tiles.forEach((tile, number) => {
  const { rows, columns } = tile;
  testOnAllKernels(`productWgsl() multiplies with the tile of ${rows} x ${columns}`, async () => {
    const a = random(1, M * K), b = random(2, K * N);
    for (const along of ["depth", "edge"] as const) {
      const name = `productForTest${number}${along}`;
      const product = hiddenOp({
        name,
        signature,
        workgroups: () => ({ count: Math.ceil(M / rows) * Math.ceil(N / columns), lanes: lanesOf(tile) }),
        wgsl: productWgsl(tile, {
          rows: "dims.M",
          columns: "dims.N",
          depth: "dims.K",
          position: "k",
          a: { along, edge: (m) => m, element: (m) => `a[${m} * dims.K + d]` },
          b: { along, edge: (n) => n, element: (n) => `b[d * dims.N + ${n}]` },
          columnTarget: "column",
          rowTarget: "row * dims.N",
          target: "y",
        }),
        reference: ({ a, b, y }) => y.set(multiplied(Float32Array.from(a), Float32Array.from(b))),
        samples: [],
      });
      const y = product(tensor(a, [M, K]), tensor(b, [K, N]));
      assertClose(await y.read(), multiplied(a, b), 1e-5, `product along the ${along}`);
    }
  });
});

Deno.test("productWgsl() fits the workgroup memory of every WebGPU device", () => {
  const factor = { along: "edge", edge: () => "0u", element: () => "0.0" } as const;
  const lengths = { rows: "1u", columns: "1u", depth: "1u", position: "k" };
  for (const tile of tiles) {
    const places = { columnTarget: "0u", rowTarget: "0u", target: "y" };
    const wgsl = productWgsl(tile, { ...lengths, a: factor, b: factor, ...places });
    const slices = wgsl.matchAll(/var<workgroup> \w+: array<array<vec4f, (\d+)>, (\d+)>/g);
    const vectors = [...slices].map(([, edge, depth]) => Number(edge) * Number(depth));
    assert.equal(vectors.length, 2);
    assert.ok(16 * (vectors[0] + vectors[1]) <= 16_384, `${tile.rows} x ${tile.columns}: ${vectors}`);
  }
});

Deno.test("chooseTile() picks large tiles for much work, and many small ones for little", () => {
  const chosen = (rows: number, columns: number) => {
    const { rows: down, columns: across } = tiles[chooseTile({ rows, columns, batches: 1 })];
    return [down, across];
  };
  assert.deepEqual(chosen(256, 256 * 784), [128, 128]);
  assert.deepEqual(chosen(64, 256 * 784), [64, 128]);
  assert.deepEqual(chosen(64, 64 * 49), [32, 32]);
  assert.deepEqual(chosen(16, 256 * 784), [16, 128]);
  assert.deepEqual(chosen(1, 256 * 784), [4, 256]);
});
