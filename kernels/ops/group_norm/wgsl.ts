import { repeatGrid, repeatLines, vectorOf } from "../matmul/product.ts";

/** Longest sum in one vector: longer ones are added up from parts, which keeps f32 sums accurate. */
const partLength = 1024;

const four = (at: string) => vectorOf((j) => `x[${at} + ${j}u]`);

/** Sums as the CPU device does: in eight lanes, which are added at the end. */
const sumWgsl = `const lanes4 = vec4u(0u, 1u, 2u, 3u);
fn total(v: vec4f) -> f32 { return (v.x + v.y) + (v.z + v.w); }
// Sums of x - centre and of its square over count numbers from start.
fn sumsOf(start: u32, count: u32, centre: f32) -> vec2f {
  var whole = vec2f();
  for (var part = 0u; part < count; part += ${partLength}u) {
    let end = min(part + ${partLength}u, count);
    var sum = vec4f(); var more = vec4f(); var squares = vec4f(); var moreSquares = vec4f();
    for (var j = part; j < end; j += 8u) {
      let a = select(vec4f(), ${four("start + j")} - centre, lanes4 + j < vec4u(end));
      let b = select(vec4f(), ${four("start + j + 4u")} - centre, lanes4 + j + 4u < vec4u(end));
      sum += a; more += b; squares += a * a; moreSquares += b * b;
    }
    whole += vec2f(total(sum + more), total(squares + moreSquares));
  }
  return whole;
}`;

/** One invocation per group of an image: mean, variance, then the normalised and activated values. */
export const forwardWgsl = `${sumWgsl}
fn kernel(i: u32) {
  let pixels = dims.H * dims.W;
  let channels = dims.C / dims.G;
  let count = channels * pixels;
  let g = i % dims.G;
  let start = (i / dims.G * dims.C + g * channels) * pixels;
  let m = sumsOf(start, count, 0.0).x / f32(count);
  let r = 1.0 / sqrt(sumsOf(start, count, m).y / f32(count) + dims.epsilon);
  stats[2u * i] = m;
  stats[2u * i + 1u] = r;
  for (var c = 0u; c < channels; c++) {
    let scale = r * gamma[g * channels + c];
    let shift = beta[g * channels + c];
    let first = start + c * pixels;
    for (var j = 0u; j < pixels; j++) { y[first + j] = activate((x[first + j] - m) * scale + shift); }
  }
}`;

/** A group of channels, and the lanes of the workgroup that shares it. */
export interface SharedGroup {
  readonly lanes: number;
  readonly channels: number;
  readonly pixels: number;
}

/** Maximum number of values that a lane loads into registers at a time. */
const maxHeld = 32;

/** One workgroup per group of an image: mean, variance, then the normalised and activated values. */
export function forwardWorkgroupWgsl({ lanes, channels, pixels }: SharedGroup): string {
  const count = channels * pixels;
  const held = Math.ceil(count / lanes);
  const isHeld = held <= maxHeld;
  const isWhole = (i: number) => isHeld && (i + 1) * lanes <= count; // all lanes have an i-th number
  const first = isHeld ? "lane" : "first";
  const load = (i: number) => {
    const value = `x[start + j${i}]`;
    return `  let j${i} = ${first} + ${i * lanes}u;
  let v${i} = ${isWhole(i) ? value : `select(0.0, ${value}, j${i} < ${count}u)`};`;
  };
  const each = (use: (i: number) => string) =>
    isHeld ? repeatLines(held, use) : `  for (var first = lane; first < ${count}u; first += ${4 * lanes}u) {
${repeatLines(4, load)}
${repeatLines(4, use)}
  }`;
  return `fn kernel(group: u32, lane: u32) {
  let firstChannel = group % dims.G * ${channels}u;
  let start = (group / dims.G * dims.C + firstChannel) * ${pixels}u;
${isHeld ? repeatLines(held, load) : ""}
  var sum = 0.0;
${each((i) => `  sum += v${i};`)}
  let m = runSum(lane, lanes, vec2f(sum, 0.0)).x / ${count}.0;
  var squares = 0.0;
${
    each((i) => {
      const d = isWhole(i) ? `v${i} - m` : `select(0.0, v${i} - m, j${i} < ${count}u)`;
      return `  { let d = ${d}; squares += d * d; }`;
    })
  }
  let r = 1.0 / sqrt(runSum(lane, lanes, vec2f(squares, 0.0)).x / ${count}.0 + dims.epsilon);
  if (lane == 0u) {
    stats[2u * group] = m;
    stats[2u * group + 1u] = r;
  }
${
    each((i) =>
      `  ${isWhole(i) ? "" : `if (j${i} < ${count}u) `}{
    let c = firstChannel + (${first} + ${i * lanes}u) / ${pixels}u;
    y[start + ${first} + ${i * lanes}u] = activate((v${i} - m) * r * gamma[c] + beta[c]);
  }`
    )
  }
}`;
}

/**
 * One invocation per group of an image: sums over each channel, in four lanes, then dx from the sums over the group.
 *
 * @param more what is added to dx[at], such as ` + before[at]`
 */
export const gradientWgsl = (more: string) =>
  `fn total(v: vec4f) -> f32 { return (v.x + v.y) + (v.z + v.w); }
fn kernel(i: u32) {
  let pixels = dims.H * dims.W;
  let channels = dims.C / dims.G;
  let count = f32(channels * pixels);
  let g = i % dims.G;
  let first = i / dims.G * dims.C + g * channels; // index of the group's first channel in [N, C]
  let m = stats[2u * i];
  let r = stats[2u * i + 1u];
  var meanScale = 0.0;
  var meanShift = 0.0;
  for (var c = 0u; c < channels; c++) {
    let gammaC = gamma[g * channels + c];
    let betaC = beta[g * channels + c];
    var scale = 0.0;
    var shift = 0.0;
    for (var part = 0u; part < pixels; part += ${partLength}u) {
      var scale4 = vec4f();
      var shift4 = vec4f();
      for (var j = part; j < min(part + ${partLength}u, pixels); j += 4u) {
${
    repeatLines(4, (lane) =>
      `        if (j + ${lane}u < pixels) {
          let at = (first + c) * pixels + j + ${lane}u;
          let xhat = (x[at] - m) * r;
          let dz = dy[at] * activationSlope(gammaC * xhat + betaC);
          dx[at] = dz; // for the second pass
          scale4[${lane}] += dz * xhat;
          shift4[${lane}] += dz;
        }`)
  }
      }
      scale += total(scale4);
      shift += total(shift4);
    }
    sums[first + c] = scale;
    sums[dims.N * dims.C + first + c] = shift;
    meanScale += gammaC / count * scale;
    meanShift += gammaC / count * shift;
  }
  for (var c = 0u; c < channels; c++) {
    let gammaC = gamma[g * channels + c];
    for (var j = 0u; j < pixels; j++) {
      let at = (first + c) * pixels + j;
      dx[at] = r * (gammaC * dx[at] - meanShift - (x[at] - m) * r * meanScale)${more};
    }
  }
}`;

/**
 * One workgroup per group of an image. `width` lanes share a channel, so several channels are summed at a time; then dx
 * is computed from the sums over the group. Each lane reads back only what it wrote.
 */
const gradientLoopsWgsl = (more: string) =>
  `fn kernel(group: u32, lane: u32) {
  let pixels = dims.H * dims.W;
  let channels = dims.C / dims.G;
  let firstChannel = group % dims.G * channels;
  let first = group / dims.G * dims.C + firstChannel; // index of the group's first channel in [N, C]
  let m = stats[2u * group];
  let r = stats[2u * group + 1u];
  var means = vec2f(); // of the lane's channels: gamma times the sums of dz xhat and dz
  for (var c0 = 0u; c0 < channels; c0 += lanes / width) {
    let c = c0 + lane / width;
    var total = vec2f();
    if (c < channels) {
      let gammaC = gamma[firstChannel + c];
      let betaC = beta[firstChannel + c];
      for (var j = lane % width; j < pixels; j += width) {
        let at = (first + c) * pixels + j;
        let xhat = (x[at] - m) * r;
        let dz = dy[at] * activationSlope(gammaC * xhat + betaC);
        dx[at] = dz;
        total += vec2f(dz * xhat, dz);
      }
    }
    total = runSum(lane, width, total);
    if (c < channels && lane % width == 0u) {
      sums[first + c] = total.x;
      sums[dims.N * dims.C + first + c] = total.y;
      means += gamma[firstChannel + c] * total;
    }
  }
  means = runSum(lane, lanes, means) / f32(channels * pixels);
  for (var c0 = 0u; c0 < channels; c0 += lanes / width) {
    let c = c0 + lane / width;
    if (c < channels) {
      let gammaC = gamma[firstChannel + c];
      for (var j = lane % width; j < pixels; j += width) {
        let at = (first + c) * pixels + j;
        dx[at] = r * (gammaC * dx[at] - means.y - (x[at] - m) * r * means.x)${more};
      }
    }
  }
}`;

/** Lanes that share a channel, and how often they take other channels and pixels. */
function turnsOf({ lanes, channels, pixels }: SharedGroup) {
  const powerAbove = (x: number) => 2 ** Math.ceil(Math.log2(x));
  const width = Math.min(lanes, powerAbove(pixels), Math.max(8, lanes / powerAbove(channels)));
  return { width, rounds: Math.ceil(channels * width / lanes), steps: Math.ceil(pixels / width) };
}

/** As `gradientLoopsWgsl`, with the numbers of a lane in registers if they are few. */
export function gradientWorkgroupWgsl(shape: SharedGroup, more: (at: string) => string): string {
  const { lanes, channels, pixels } = shape;
  const { width, rounds, steps } = turnsOf(shape);
  if (rounds * steps > maxHeld) return `const width = ${width}u;\n${gradientLoopsWgsl(more("at"))}`;
  /** WGSL of whether a lane has this channel and pixel; undefined if all lanes do. */
  const limitOf = (a: number, s: number) =>
    [
      (a + 1) * lanes > channels * width ? `c${a} < ${channels}u` : "",
      (s + 1) * width > pixels ? `column + ${s * width}u < ${pixels}u` : "",
    ].filter(Boolean).join(" && ") || undefined;
  const within = (value: string, limit?: string, other = "0.0") =>
    limit ? `select(${other}, ${value}, ${limit})` : value;
  const load = (a: number, s: number) =>
    `  let xhat${a}_${s} = (${within(`x[at${a} + ${s * width}u]`, limitOf(a, s), "m")} - m) * r;
  let slope${a}_${s} = activationSlope(gamma${a} * xhat${a}_${s} + beta${a});
  let dz${a}_${s} = slope${a}_${s} * ${within(`dy[at${a} + ${s * width}u]`, limitOf(a, s))};
  sums${a} += vec2f(dz${a}_${s} * xhat${a}_${s}, dz${a}_${s});`;
  const round = (a: number) =>
    `  let c${a} = lane / ${width}u + ${a * lanes / width}u;
  let gamma${a} = gamma[firstChannel + c${a}];
  let beta${a} = beta[firstChannel + c${a}];
  let at${a} = (first + c${a}) * ${pixels}u + column;
  var sums${a} = vec2f();
${repeatLines(steps, (s) => load(a, s))}`;
  const share = (a: number) =>
    `  sums${a} = runSum(lane, ${width}u, sums${a});
  if (c${a} < ${channels}u && column == 0u) {
    sums[first + c${a}] = sums${a}.x;
    sums[dims.N * dims.C + first + c${a}] = sums${a}.y;
    means += gamma${a} * sums${a};
  }`;
  const store = (a: number, s: number) => {
    const limit = limitOf(a, s);
    const at = `at${a} + ${s * width}u`;
    const stored = `dx[${at}] = r * gamma${a} * dz${a}_${s} - (means.y + xhat${a}_${s} * means.x)${
      more(at)
    };`;
    return `  ${limit ? `if (${limit}) { ${stored} }` : stored}`;
  };
  return `fn kernel(group: u32, lane: u32) {
  let firstChannel = group % dims.G * ${channels}u;
  let first = group / dims.G * dims.C + firstChannel; // index of the group's first channel in [N, C]
  let m = stats[2u * group];
  let r = stats[2u * group + 1u];
  let column = lane % ${width}u;
${repeatLines(rounds, round)}
  var means = vec2f(); // of the lane's channels: gamma times the sums of dz xhat and dz
${repeatLines(rounds, share)}
  means = runSum(lane, lanes, means) * r / ${channels * pixels}.0;
${repeatGrid(rounds, steps, store)}
}`;
}
