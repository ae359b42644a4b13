import type { Dims, Pass } from "../../../devices/device.ts";
import { Passes } from "../../../ways.ts";
import { channelProducts, tileProducts } from "./products.ts";
import { gradientTransform, sourceTransform, weightTransform } from "./inputs.ts";
import { addedTarget, biasedTarget, turnedTarget } from "./targets.ts";
import { findUneven } from "./uneven.ts";
import { weightTarget } from "./weight_target.ts";

/** The passes of y = x * w + bias, and of what adds a residual. */
export function forwardPasses(
  { N, B, C, H, W, K, P, Q, padding }: Dims,
  { hasResidual }: { hasResidual: boolean },
): readonly Pass[] {
  const passes = new Passes();
  const x = passes.buffer("x", [N, C, H, W]);
  const w = passes.buffer("w", [K, C, 3, 3]);
  const bias = passes.buffer("bias", [B, K]);
  const u = passes.run(weightTransform, [w], { turned: 0 });
  const v = passes.run(sourceTransform, [x], { padding, run: N });
  const uneven = passes.run(findUneven, [v], { N, run: N });
  const m = passes.run(channelProducts, [u, v], {});
  if (hasResidual) {
    const residual = passes.buffer("residual", [N, K, P, Q]);
    passes.run(addedTarget, [m, x, w, bias, residual, uneven], { padding, run: N }, "y");
  } else passes.run(biasedTarget, [m, x, w, bias, uneven], { padding, run: N }, "y");
  return passes.list;
}

/** The passes of dx, a convolution of dy. */
export function inputGradientPasses({ N, C, H, W, K, P, Q, padding }: Dims): readonly Pass[] {
  const passes = new Passes();
  const dy = passes.buffer("dy", [N, K, P, Q]);
  const w = passes.buffer("w", [K, C, 3, 3]);
  const u = passes.run(weightTransform, [w], { turned: 1 });
  const v = passes.run(sourceTransform, [dy], { padding: 2 - padding, run: N });
  const uneven = passes.run(findUneven, [v], { N, run: N });
  const m = passes.run(channelProducts, [u, v], {});
  passes.run(turnedTarget, [m, dy, w, uneven], { padding, run: N, H, W }, "dx");
  return passes.list;
}

/** The passes of dw of groups of `run` images each. */
export function weightGradientPasses({ N, C, H, W, K, P, Q, padding, run }: Dims): readonly Pass[] {
  const passes = new Passes();
  const x = passes.buffer("x", [N, C, H, W]);
  const dy = passes.buffer("dy", [N, K, P, Q]);
  const v = passes.run(sourceTransform, [x], { padding, run });
  const z = passes.run(gradientTransform, [dy], { run });
  const unevenX = passes.run(findUneven, [v], { N, run });
  const unevenDy = passes.run(findUneven, [z], { N, run });
  const du = passes.run(tileProducts, [z, v], {});
  passes.run(weightTarget, [du, x, dy, unevenX, unevenDy], { padding, run }, "dw");
  return passes.list;
}
