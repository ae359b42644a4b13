// One workgroup for each group of an image. `width` lanes share a channel, so several channels are summed at a time; then dx from
// the sums over the group. Each lane reads back only what it wrote.
fn kernel(group: u32, lane: u32) {
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
}
