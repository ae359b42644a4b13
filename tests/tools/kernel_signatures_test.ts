import assert from "node:assert/strict";
import { dispatchSource, kernelSources, signaturesModule } from "../../tools/kernel_signatures.ts";

const product = `
export function productWorkspace(n: i32, threads: i32): u64 {
  return n * threads;
}

export function product(
  call: usize,
  workspace: usize,
  x: usize,
  n: i32,
): void {
}
`;
const scale = "export function scale(call: usize, x: usize, factor: f32): void {\n}\n";
const slide = "export function slide(call: usize, x: usize, along: Axis, by: i32): void {\n}\n";

Deno.test("kernelSources() reads kernels; the table and the dispatch follow from their parameters", () => {
  const kernels = kernelSources({ "a.ts": product, "b.ts": scale, "c.ts": slide }, 30, {
    Axis: ["first", "last"],
  });
  const table = signaturesModule(kernels);
  for (
    const row of [
      'product: "x: usize, n: i32",',
      'scale: "x: usize, factor: f32",',
      'slide: "x: usize, along.first: i32, along.last: i32, by: i32",',
    ]
  ) assert.ok(table.includes(row), table);
  const dispatch = dispatchSource(kernels);
  for (
    const line of [
      'import { product, productWorkspace } from "./kernels/a.ts";',
      "case 0: return product(call, claimWorkspace(call, productWorkspace(integer(call, 1), team)), pointer(call, 0), integer(call, 1));",
      "case 1: return scale(call, pointer(call, 0), real(call, 1));",
      "case 2: return slide(call, pointer(call, 0), axis(call, 1), integer(call, 3));",
      "case 0: return productWorkspace(integer(call, 1), threads);",
    ]
  ) assert.ok(dispatch.includes(line), line);
});

Deno.test("kernelSources() refuses kernels that cannot be called", () => {
  const half =
    "it needs both a parameter workspace and a function \\w+Workspace\\(\\.\\.\\.\\): u64, or neither";
  const size = "export function scaleWorkspace(threads: i32): u64 {\n}\n";
  const cases: readonly [source: string, message: string, most?: number][] = [
    [scale, "Cannot build kernel scale of c.ts: it takes 2 arguments \\(expected at most 1\\)$", 1],
    [product.replace("productWorkspace", "other"), half],
    [scale + size, half],
    [size, "scaleWorkspace: there is no such kernel"],
    ["export function f(x: usize): void {\n}\n", "f of c.ts: it is \\(x\\): void \\(expected \\(call, "],
    [
      "export function f(call: usize, x: f64): void {\n}\n",
      "x is f64 \\(expected usize, i32, f32, Axis, Walk\\)",
    ],
    [
      product.replace("(n: i32, threads", "(m: i32, threads"),
      "takes m, which is not an argument of the kernel",
    ],
  ];
  for (const [source, message, most = 30] of cases) {
    assert.throws(() => kernelSources({ "c.ts": source }, most), { message: new RegExp(message) });
  }
});
