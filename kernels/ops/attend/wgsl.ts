import { nanWgsl } from "../elementwise/shared_wgsl.ts";
import { repeatLines, vectorOf } from "../matmul/product.ts";

/**
 * Attention on GPUs: a workgroup computes eight columns of the result and walks the other side in chunks of `lanes`
 * positions. Only 8 x lanes weights are in memory at a time.
 */
const columns = 8;
/** Channels of the eight columns held in workgroup memory at a time. */
const depth = 32;

/** Lanes of a workgroup. A lane stands for a position of the other side, then for a channel. */
export function attendLanes(C: number, L: number): number {
  return Math.min(C, L) > 64 ? 128 : 64;
}

/** Workgroups for all columns of all images. */
export function attendGroups(N: number, L: number): number {
  return N * Math.ceil(L / columns);
}

/** WGSL for each of the eight columns, given its number and its component of two vectors a and b. */
const eachColumn = (line: (r: number, component: string) => string) =>
  repeatLines(columns, (r) => line(r, `${"ab"[Math.floor(r / 4)]}[${r % 4}]`));

/** A WGSL function that reduces the values of all lanes with `join`, an expression in l and r. */
const reduction = (name: string, join: string) =>
  `fn ${name}(lane: u32, value: Eight) -> Eight {
  weights[2u * lane] = value.a;
  weights[2u * lane + 1u] = value.b;
  workgroupBarrier();
  for (var reach = lanes / 2u; reach > 0u; reach /= 2u) {
    if (lane < reach) {
      for (var half = 0u; half < 2u; half++) {
        let l = weights[2u * lane + half];
        let r = weights[2u * (lane + reach) + half];
        weights[2u * lane + half] = ${join};
      }
    }
    workgroupBarrier();
  }
  let result = Eight(weights[0], weights[1]);
  workgroupBarrier();
  return result;
}`;

/** A kernel with the given body, which stages the columns of `pairs` products together. */
function kernel(lanes: number, pairs: number, body: string): string {
  return `const lanes = ${lanes}u;
struct Eight { a: vec4f, b: vec4f }
var<workgroup> staged: array<vec4f, ${2 * depth * pairs}>; // [pair][channel][8]
var<workgroup> weights: array<vec4f, ${2 * lanes}>; // [position][8]; between, scratch of the reductions
${nanWgsl}
fn expOfEach(v: vec4f) -> vec4f {
  return select(exp(v), v, (bitcast<vec4u>(v) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u));
}
${reduction("largest", "max(l, r)")}
${reduction("total", "l + r")}
fn kernel(group: u32, lane: u32) {
  let tiles = (dims.L + ${columns - 1}u) / ${columns}u;
  let first = group % tiles * ${columns}u;
  let n = group / tiles;
  let image = n * dims.C * dims.L;
  let last = dims.L - 1u;
${eachColumn((r) => `  let column${r} = min(first + ${r}u, last);`)}
${body}
}`;
}

/** For each pair, `into` = the sums over c of fixed[c, the eight columns] moving[c, the lane's position]. */
function dots(pairs: readonly { fixed: string; moving: string; into: string }[]): string {
  const stage = ({ fixed }: { fixed: string }, i: number) =>
    `        staged[${2 * depth * i}u + t] = ${vectorOf((j) => `${fixed}[row + min(r + ${j}u, last)]`)};`;
  const add = ({ moving, into }: { moving: string; into: string }, i: number) =>
    `        let value${i} = ${moving}[at];
        ${into}.a += value${i} * staged[${2 * depth * i}u + 2u * c];
        ${into}.b += value${i} * staged[${2 * depth * i}u + 2u * c + 1u];`;
  return `    let inside = start + lane < dims.L;
    let position = min(start + lane, last);
${pairs.map(({ into }) => `    var ${into} = Eight();`).join("\n")}
    for (var c0 = 0u; c0 < dims.C; c0 += ${depth}u) {
      for (var t = lane; t < ${2 * depth}u; t += lanes) {
        let row = image + min(c0 + t / 2u, dims.C - 1u) * dims.L;
        let r = first + t % 2u * 4u;
${pairs.map(stage).join("\n")}
      }
      workgroupBarrier();
      for (var c = 0u; c < min(${depth}u, dims.C - c0); c++) {
        let at = image + (c0 + c) * dims.L + position;
${pairs.map(add).join("\n")}
      }
      workgroupBarrier();
    }`;
}

/** Target[c, the eight columns] = sum over the chunk of weights[position] source[c, position], for each channel c. */
function mix(source: string, target: string, stored: (component: string) => string): string {
  const store = (r: number, component: string) =>
    `      if (first + ${r}u < dims.L) { let to = row + first + ${r}u; ${target}[to] = ${
      stored(component)
    }; }`;
  return `    workgroupBarrier();
    for (var c = lane; c < dims.C; c += lanes) {
      var a = vec4f();
      var b = vec4f();
      let row = image + c * dims.L;
      for (var e = 0u; e < min(lanes, dims.L - start); e++) {
        let value = ${source}[row + start + e];
        a += value * weights[2u * e];
        b += value * weights[2u * e + 1u];
      }
${eachColumn(store)}
    }
    workgroupBarrier();`;
}

const chunks = (body: string) =>
  `  for (var start = 0u; start < dims.L; start += lanes) {
${body}
  }`;
const setWeights = (value: string) =>
  `    weights[2u * lane] = ${value}.a;\n    weights[2u * lane + 1u] = ${value}.b;`;
/** The target's value from earlier chunks; each lane reads back what it wrote itself. */
const before = (target: string) => `select(0.0, ${target}[to], start > 0u)`;
const both = (line: (part: string) => string) => `    ${line("a")}\n    ${line("b")}`;
const pairOf = (expression: (r: number) => string) =>
  `Eight(${vectorOf(expression)}, ${vectorOf((r) => expression(4 + r))})`;

/**
 * y and the running maximum and sum of each query, by online softmax: earlier terms are rescaled when the maximum
 * grows.
 */
export function attendWgsl(lanes: number): string {
  return kernel(
    lanes,
    1,
    `  let lowest = vec4f(-3.0e38);
  var top = Eight(lowest, lowest);
  var sum = Eight();
${
      chunks(`${dots([{ fixed: "q", moving: "k", into: "s" }])}
${both((part) => `s.${part} = select(lowest, dims.scale * s.${part}, inside);`)}
    let highest = largest(lane, s);
    let above = Eight(max(top.a, highest.a), max(top.b, highest.b));
    let shrink = Eight(exp(top.a - above.a), exp(top.b - above.b));
    top = above;
    var p = Eight();
${both((part) => `p.${part} = select(vec4f(), expOfEach(s.${part} - top.${part}), inside);`)}
    let added = total(lane, p);
${both((part) => `sum.${part} = sum.${part} * shrink.${part} + added.${part};`)}
    let end = start + lanes >= dims.L;
    let divisor = Eight(select(vec4f(1.0), sum.a, end), select(vec4f(1.0), sum.b, end));
${setWeights("p")}
${mix("v", "y", (part) => `(${before("y")} * shrink.${part} + ${part}) / divisor.${part}`)}`)
    }
  if (lane == 0u) {
${
      eachColumn((r, part) =>
        `    if (first + ${r}u < dims.L) { let to = 2u * (n * dims.L + first + ${r}u); ` +
        `stats[to] = select(top.${part}, sum.${part}, isNan(sum.${part})); stats[to + 1u] = sum.${part}; }`
      )
    }
  }`,
  );
}

/**
 * dq[c, i] = scale sum over j of ds[i, j] k[c, j], with ds = p (dp - dot), dp = dy^T v, dot[i] = sum over c of dy y.
 */
export function attendQueryGradientWgsl(lanes: number): string {
  return kernel(
    lanes,
    2,
    `  var dotted = Eight();
  for (var c = lane; c < dims.C; c += lanes) {
    let row = image + c * dims.L;
${eachColumn((r, part) => `    dotted.${part} += dy[row + column${r}] * y[row + column${r}];`)}
  }
  let dot = total(lane, dotted);
  let top = ${pairOf((r) => `stats[2u * (n * dims.L + column${r})]`)};
  let sum = ${pairOf((r) => `stats[2u * (n * dims.L + column${r}) + 1u]`)};
${
      chunks(`${dots([{ fixed: "q", moving: "k", into: "s" }, { fixed: "dy", moving: "v", into: "dp" }])}
    var ds = Eight();
${
        both((part) =>
          `ds.${part} = dims.scale * expOfEach(dims.scale * s.${part} - top.${part}) / sum.${part} * (dp.${part} - dot.${part});`
        )
      }
${setWeights("ds")}
${mix("k", "dq", (part) => `${before("dq")} + ${part}`)}`)
    }
  if (lane == 0u) {
${
      eachColumn((r, part) =>
        `    if (first + ${r}u < dims.L) { dots[n * dims.L + first + ${r}u] = dot.${part}; }`
      )
    }
  }`,
  );
}

/** dv[c, j] = sum over i of p[i, j] dy[c, i] and dk[c, j] = scale sum over i of ds[i, j] q[c, i]; see dq. */
export function attendKeyValueGradientWgsl(lanes: number): string {
  return kernel(
    lanes,
    2,
    chunks(`${dots([{ fixed: "k", moving: "q", into: "s" }, { fixed: "v", moving: "dy", into: "dp" }])}
    let query = n * dims.L + position;
    let top = stats[2u * query];
    let sum = stats[2u * query + 1u];
    let dot = dots[query];
    let p = Eight(expOfEach(dims.scale * s.a - top) / sum, expOfEach(dims.scale * s.b - top) / sum);
    let ds = Eight(dims.scale * p.a * (dp.a - dot), dims.scale * p.b * (dp.b - dot));
${setWeights("p")}
${mix("dy", "dv", (part) => `${before("dv")} + ${part}`)}
${setWeights("ds")}
${mix("q", "dk", (part) => `${before("dk")} + ${part}`)}`),
  );
}
