import { repeatLines, vectorOf } from "../matmul/product.ts";

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

/** One workgroup per group of an image: mean, variance, then the normalised and activated values. */
export const forwardWorkgroupWgsl = `fn kernel(group: u32, lane: u32) {
  let pixels = dims.H * dims.W;
  let channels = dims.C / dims.G;
  let count = channels * pixels;
  let firstChannel = group % dims.G * channels;
  let start = (group / dims.G * dims.C + firstChannel) * pixels;
  var sum = 0.0;
  for (var j = lane; j < count; j += lanes) { sum += x[start + j]; }
  let m = runSum(lane, lanes, vec2f(sum, 0.0)).x / f32(count);
  var squares = 0.0;
  for (var j = lane; j < count; j += lanes) { let d = x[start + j] - m; squares += d * d; }
  let r = 1.0 / sqrt(runSum(lane, lanes, vec2f(squares, 0.0)).x / f32(count) + dims.epsilon);
  if (lane == 0u) {
    stats[2u * group] = m;
    stats[2u * group + 1u] = r;
  }
  for (var j = lane; j < count; j += lanes) {
    let c = firstChannel + j / pixels;
    y[start + j] = activate((x[start + j] - m) * r * gamma[c] + beta[c]);
  }
}`;

/** One invocation per group of an image: sums over each channel, in four lanes, then dx from the sums over the group. */
export const gradientWgsl = `fn total(v: vec4f) -> f32 { return (v.x + v.y) + (v.z + v.w); }
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
    scales[first + c] = scale;
    shifts[first + c] = shift;
    meanScale += gammaC / count * scale;
    meanShift += gammaC / count * shift;
  }
  for (var c = 0u; c < channels; c++) {
    let gammaC = gamma[g * channels + c];
    for (var j = 0u; j < pixels; j++) {
      let at = (first + c) * pixels + j;
      dx[at] = r * (gammaC * dx[at] - meanShift - (x[at] - m) * r * meanScale);
    }
  }
}`;

/**
 * One workgroup per group of an image. `width` lanes share a channel, so several channels are summed at a time; then dx
 * is computed from the sums over the group. Each lane reads back only what it wrote.
 */
export const gradientWorkgroupWgsl = `fn kernel(group: u32, lane: u32) {
  let pixels = dims.H * dims.W;
  let channels = dims.C / dims.G;
  let firstChannel = group % dims.G * channels;
  let first = group / dims.G * dims.C + firstChannel; // index of the group's first channel in [N, C]
  let m = stats[2u * group];
  let r = stats[2u * group + 1u];
  var means = vec2f(); // of the lane's channels: gamma times the sums of dz xhat and dz
  for (var c0 = 0u; c0 < channels; c0 += lanes / width) {
    let c = c0 + lane / width;
    var sums = vec2f();
    if (c < channels) {
      let gammaC = gamma[firstChannel + c];
      let betaC = beta[firstChannel + c];
      for (var j = lane % width; j < pixels; j += width) {
        let at = (first + c) * pixels + j;
        let xhat = (x[at] - m) * r;
        let dz = dy[at] * activationSlope(gammaC * xhat + betaC);
        dx[at] = dz;
        sums += vec2f(dz * xhat, dz);
      }
    }
    sums = runSum(lane, width, sums);
    if (c < channels && lane % width == 0u) {
      scales[first + c] = sums.x;
      shifts[first + c] = sums.y;
      means += gamma[firstChannel + c] * sums;
    }
  }
  means = runSum(lane, lanes, means) / f32(channels * pixels);
  for (var c0 = 0u; c0 < channels; c0 += lanes / width) {
    let c = c0 + lane / width;
    if (c < channels) {
      let gammaC = gamma[firstChannel + c];
      for (var j = lane % width; j < pixels; j += width) {
        let at = (first + c) * pixels + j;
        dx[at] = r * (gammaC * dx[at] - means.y - (x[at] - m) * r * means.x);
      }
    }
  }
}`;
