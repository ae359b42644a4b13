import type { Dims, Pass } from "../../../devices/device.ts";
import { defineOp } from "../../../op.ts";
import { summingKernels } from "../../reduce/workgroup_sum.ts";
import { Passes } from "../../../kernel_variants.ts";
import { matmulOp, matmulTransposedBOp } from "../../matmul/op.ts";
import { gradientTransform, sourceTransform, weightTransform } from "./inputs.ts";
import { addedTarget, biasedTarget, turnedTarget } from "./targets.ts";
import { weightTarget } from "./weight_target.ts";

const unevenWgsl = `// Of tiles of an image: x the largest size, y the sum of fourth roots.
fn together(a: vec2f, b: vec2f) -> vec2f { return vec2f(max(a.x, b.x), a.y + b.y); }

// Every \`step\`-th tile of image n, from the first.
fn part(n: u32, first: u32, step: u32) -> vec2f {
  let base = (n / dims.run * 36u + centre) * dims.C * dims.T + n % dims.run * dims.tiles;
  var found = vec2f();
  for (var i = first; i < dims.C * dims.tiles; i += step) {
    let size = abs(v[base + i / dims.tiles * dims.T + i % dims.tiles]);
    found = together(found, vec2f(size, sqrt(sqrt(size))));
  }
  return found;
}

fn verdict(all: vec2f) -> u32 {
  let count = f32(dims.C * dims.tiles);
  let root = all.y / count;
  let most = select(maxTimes, min(maxTimes, 0.5 * count * count * count), count > 2.0);
  return select(1u, 0u, all.x < huge && all.x <= most * (root * root) * (root * root));
}`;

/** Element (1, 1) of the 36, to which all inner pixels of a tile contribute. */
const centre = 7;

/** Largest allowed ratio of a tile to the typical tile of its image. */
const maxTimes = 2048;
/** Limit for transformed values: products of larger ones may overflow. */
const huge = 1e15;

/** On GPUs a workgroup per image, on software adapters an invocation per image. */
function unevenKernels() {
  const wgsl = `const centre = ${centre}u;
const maxTimes = f32(${maxTimes});
const huge = f32(${huge});
${unevenWgsl}`;
  const alone = {
    grid: ({ N }: Dims) => N,
    wgsl: () =>
      `${wgsl}
fn kernel(n: u32) { uneven[n] = verdict(part(n, 0u, 1u)); }`,
  };
  const shared = (lanes: number) => ({
    grid: ({ N }: Dims) => ({ count: N, lanes }),
    wgsl: () =>
      `${wgsl}
var<workgroup> parts: array<vec2f, ${lanes}>;
fn kernel(group: u32, lane: u32) {
  parts[lane] = part(group, lane, ${lanes}u);
  workgroupBarrier();
  for (var reach = ${lanes / 2}u; reach > 0u; reach /= 2u) {
    if (lane < reach) { parts[lane] = together(parts[lane], parts[lane + reach]); }
    workgroupBarrier();
  }
  if (lane == 0u) { uneven[group] = verdict(parts[0]); }
}`,
  });
  return summingKernels(alone, shared, ({ C, tiles }) => C * tiles);
}

/**
 * Which images Winograd's transforms cannot handle: 1 if a tile is huge, NaN, or far larger than typical, else 0.
 * Rounding errors of a transform grow with the largest value of a tile, so an outlier spoils its neighbours; those of a
 * direct convolution depend only on the values behind each result.
 *
 * Typical size: (mean of |x|^(1/4))^4, robust to a few outliers. A single value among zeros is count^4 times that, so
 * few tiles need a lower limit.
 */
const findUneven = defineOp({
  name: "winogradUneven",
  signature: "v[E, C, T] -> uneven:u32[N]",
  attributes: { N: "u32", run: "u32" },
  derive: ({ T, run }) => ({ tiles: T / run }),
  ...unevenKernels(),
  reference({ v, uneven }, { N, C, T, run, tiles }) {
    for (let n = 0; n < N; n++) {
      let highest = 0, roots = 0;
      for (let c = 0; c < C; c++) {
        for (let tile = 0; tile < tiles; tile++) {
          const at = ((Math.floor(n / run) * 36 + centre) * C + c) * T + n % run * tiles + tile;
          highest = Math.max(highest, Math.abs(v[at]));
          roots += Math.abs(v[at]) ** 0.25;
        }
      }
      const count = C * tiles;
      const most = count > 2 ? Math.min(maxTimes, count ** 3 / 2) : maxTimes;
      const isEven = highest < huge && highest <= most * (roots / count) ** 4;
      uneven[n] = isEven ? 0 : 1;
    }
  },
  samples: [
    { shapes: { v: [72, 2, 6] }, attributes: { N: 3, run: 2 } },
    { shapes: { v: [36, 1, 1] }, attributes: { N: 1, run: 1 } },
    {
      shapes: { v: [36, 1, 4] },
      attributes: { N: 1, run: 1 },
      values: { v: Array.from({ length: 144 }, (_, i) => i === 29 ? 1e6 : 1) },
    },
  ],
});

/** The passes of y = x * w + bias, optionally with a residual. */
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
  const m = passes.run(matmulOp, [u, v], {});
  if (hasResidual) {
    const residual = passes.buffer("residual", [N, K, P, Q]);
    passes.run(addedTarget, [m, x, w, bias, residual, uneven], { padding }, "y");
  } else passes.run(biasedTarget, [m, x, w, bias, uneven], { padding }, "y");
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
  const m = passes.run(matmulOp, [u, v], {});
  passes.run(turnedTarget, [m, dy, w, uneven], { padding, H, W }, "dx");
  return passes.list;
}

/** The passes of dw for each group of `run` images. */
export function weightGradientPasses({ N, C, H, W, K, P, Q, padding, run }: Dims): readonly Pass[] {
  const passes = new Passes();
  const x = passes.buffer("x", [N, C, H, W]);
  const dy = passes.buffer("dy", [N, K, P, Q]);
  const v = passes.run(sourceTransform, [x], { padding, run });
  const z = passes.run(gradientTransform, [dy], { run });
  const unevenX = passes.run(findUneven, [v], { N, run });
  const unevenDy = passes.run(findUneven, [z], { N, run });
  const du = passes.run(matmulTransposedBOp, [z, v], {});
  passes.run(weightTarget, [du, x, dy, unevenX, unevenDy], { padding, run }, "dw");
  return passes.list;
}
