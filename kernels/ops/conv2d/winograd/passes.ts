import type { Dims, Pass, Tuning } from "../../../devices/device.ts";
import { Passes } from "../../../kernel_variants.ts";
import { matmulOp, matmulTransposedBOp } from "../../matmul/op.ts";
import { convolutionInputs, gradientInputs, slicesOf, tileSizes, tilesOf } from "./inputs.ts";
import type { Terms } from "../tiles.ts";
import { targets } from "./targets.ts";
import { weightTarget } from "./weight_target.ts";

/** The passes of a convolution, plain or transposed. */
export function convolutionPasses(
  { N, B, C, H, W, A, D, K, P, Q, paddingH: padding, transposed }: Dims,
  { software }: Tuning,
  terms: Terms,
): readonly Pass[] {
  const passes = new Passes();
  const slices = slicesOf(N, C, tilesOf(P, Q).tiles, software);
  const x = passes.buffer("x", [N, C, H, W]);
  const w = passes.buffer("w", [A, D, 3, 3]);
  const before = transposed ? 2 - padding : padding;
  const [v, u, measured] = passes.run(convolutionInputs, [x, w], {
    padding: before,
    turned: transposed,
    S: slices,
  });
  const [sizes] = slices > 0 ? [measured] : passes.run(tileSizes, [v], { N, run: N });
  const [m] = passes.run(matmulOp, [u, v], {});
  const shapes = { bias: [B, K], residual: [N, K, P, Q] };
  const added = terms.map((term) => passes.buffer(term, shapes[term]));
  passes.run(targets[terms.length], [m, x, w, sizes, ...added], { padding, transposed }, "y");
  return passes.list;
}

/** The passes of dw for each group of `run` images. */
export function weightGradientPasses(
  { N, C, H, W, K, P, Q, paddingH: padding, run }: Dims,
  { software }: Tuning,
): readonly Pass[] {
  const passes = new Passes();
  const S = slicesOf(N, Math.min(C, K), tilesOf(P, Q).tiles, software);
  const x = passes.buffer("x", [N, C, H, W]);
  const dy = passes.buffer("dy", [N, K, P, Q]);
  const [v, z, ...measured] = passes.run(gradientInputs, [x, dy], { padding, run, S });
  const [sizesX, sizesDy] = S > 0
    ? measured
    : [v, z].map((tiles) => passes.run(tileSizes, [tiles], { N, run })[0]);
  const [du] = passes.run(matmulTransposedBOp, [z, v], {});
  passes.run(weightTarget, [du, x, dy, sizesX, sizesDy], { padding, run }, "dw");
  return passes.list;
}
