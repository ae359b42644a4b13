// One invocation a group of an image: sums over each channel, then dx from the sums over the group.
fn kernel(i: u32) {
  let pixels = dims.H * dims.W;
  let channels = dims.C / dims.G;
  let count = f32(channels * pixels);
  let g = i % dims.G;
  let first = i / dims.G * dims.C + g * channels; // index of the group's first channel in [N, C]
  let m = mean[i];
  let r = rstd[i];
  var meanScale = 0.0;
  var meanShift = 0.0;
  for (var c = 0u; c < channels; c++) {
    var scale = 0.0;
    var shift = 0.0;
    for (var j = 0u; j < pixels; j++) {
      let at = (first + c) * pixels + j;
      let d = dy[at];
      scale += d * (x[at] - m);
      shift += d;
    }
    scales[first + c] = scale * r;
    shifts[first + c] = shift;
    let weight = gamma[g * channels + c] / count;
    meanScale += weight * scale * r;
    meanShift += weight * shift;
  }
  for (var c = 0u; c < channels; c++) {
    let weight = gamma[g * channels + c];
    for (var j = 0u; j < pixels; j++) {
      let at = (first + c) * pixels + j;
      dx[at] = r * (weight * dy[at] - meanShift - (x[at] - m) * r * meanScale);
    }
  }
}
