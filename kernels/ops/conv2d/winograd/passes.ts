import type { Dims, Pass, Tuning } from "../../../devices/device.ts";
import { Passes } from "../../../kernel_variants.ts";
import { matmulOp, matmulTransposedBOp } from "../../matmul/op.ts";
import { convolutionInputs, gradientInputs, slicesOf, tileSizes, tilesOf } from "./inputs.ts";
import { addedTarget, biasedTarget, turnedTarget } from "./targets.ts";
import { weightTarget } from "./weight_target.ts";

/** The passes of y = x * w + bias, optionally with a residual. */
export function forwardPasses(
  { N, B, C, H, W, K, P, Q, padding }: Dims,
  { software }: Tuning,
  { hasResidual }: { hasResidual: boolean },
): readonly Pass[] {
  const passes = new Passes();
  const S = slicesOf(N, C, tilesOf(P, Q).tiles, software);
  const x = passes.buffer("x", [N, C, H, W]);
  const w = passes.buffer("w", [K, C, 3, 3]);
  const bias = passes.buffer("bias", [B, K]);
  const [v, u, measured] = passes.run(convolutionInputs, [x, w], { padding, turned: 0, S });
  const [sizes] = S > 0 ? [measured] : passes.run(tileSizes, [v], { N, run: N });
  const [m] = passes.run(matmulOp, [u, v], {});
  if (hasResidual) {
    const residual = passes.buffer("residual", [N, K, P, Q]);
    passes.run(addedTarget, [m, x, w, bias, residual, sizes], { padding }, "y");
  } else passes.run(biasedTarget, [m, x, w, bias, sizes], { padding }, "y");
  return passes.list;
}

/** The passes of dx, a convolution of dy. */
export function inputGradientPasses(
  { N, C, H, W, K, P, Q, padding }: Dims,
  { software }: Tuning,
): readonly Pass[] {
  const passes = new Passes();
  const S = slicesOf(N, K, tilesOf(H, W).tiles, software);
  const dy = passes.buffer("dy", [N, K, P, Q]);
  const w = passes.buffer("w", [K, C, 3, 3]);
  const [v, u, measured] = passes.run(convolutionInputs, [dy, w], { padding: 2 - padding, turned: 1, S });
  const [sizes] = S > 0 ? [measured] : passes.run(tileSizes, [v], { N, run: N });
  const [m] = passes.run(matmulOp, [u, v], {});
  passes.run(turnedTarget, [m, dy, w, sizes], { padding, H, W }, "dx");
  return passes.list;
}

/** The passes of dw for each group of `run` images. */
export function weightGradientPasses(
  { N, C, H, W, K, P, Q, padding, run }: Dims,
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
