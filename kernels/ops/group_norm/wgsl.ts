/**
 * One invocation per group of an image: mean, variance, then the normalised and activated values. Sums go row by row,
 * which keeps f32 sums short and accurate.
 */
export const forwardWgsl = `fn kernel(i: u32) {
  let channels = dims.C / dims.G;
  let rows = channels * dims.H;
  let count = f32(rows * dims.W);
  let g = i % dims.G;
  let start = (i / dims.G * dims.C + g * channels) * dims.H * dims.W;
  var total = 0.0;
  for (var h = 0u; h < rows; h++) {
    var row = 0.0;
    for (var w = 0u; w < dims.W; w++) { row += x[start + h * dims.W + w]; }
    total += row;
  }
  let m = total / count;
  var squares = 0.0;
  for (var h = 0u; h < rows; h++) {
    var row = 0.0;
    for (var w = 0u; w < dims.W; w++) { let d = x[start + h * dims.W + w] - m; row += d * d; }
    squares += row;
  }
  let r = 1.0 / sqrt(squares / count + dims.epsilon);
  stats[2u * i] = m;
  stats[2u * i + 1u] = r;
  for (var c = 0u; c < channels; c++) {
    let scale = r * gamma[g * channels + c];
    let shift = beta[g * channels + c];
    let first = start + c * dims.H * dims.W;
    for (var j = 0u; j < dims.H * dims.W; j++) { y[first + j] = activate((x[first + j] - m) * scale + shift); }
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

/** One invocation per group of an image: sums over each channel, row by row, then dx from the sums over the group. */
export const gradientWgsl = `fn kernel(i: u32) {
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
    for (var h = 0u; h < dims.H; h++) {
      var rowScale = 0.0;
      var rowShift = 0.0;
      for (var w = 0u; w < dims.W; w++) {
        let at = ((first + c) * dims.H + h) * dims.W + w;
        let xhat = (x[at] - m) * r;
        let dz = dy[at] * activationSlope(gammaC * xhat + betaC);
        dx[at] = dz; // for the second pass
        rowScale += dz * xhat;
        rowShift += dz;
      }
      scale += rowScale;
      shift += rowShift;
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
