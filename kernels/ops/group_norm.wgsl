// One invocation a group of an image: mean, variance around it, then the normalised values.
fn kernel(i: u32) {
  let pixels = dims.H * dims.W;
  let channels = dims.C / dims.G;
  let count = channels * pixels;
  let g = i % dims.G;
  let start = (i / dims.G * dims.C + g * channels) * pixels;
  var total = 0.0;
  for (var c = 0u; c < channels; c++) {
    var part = 0.0; // sums a channel at a time, so that no f32 sum runs long
    for (var j = 0u; j < pixels; j++) { part += x[start + c * pixels + j]; }
    total += part;
  }
  let m = total / f32(count);
  var squares = 0.0;
  for (var c = 0u; c < channels; c++) {
    var part = 0.0;
    for (var j = 0u; j < pixels; j++) { let d = x[start + c * pixels + j] - m; part += d * d; }
    squares += part;
  }
  let r = 1.0 / sqrt(squares / f32(count) + dims.epsilon);
  mean[i] = m;
  rstd[i] = r;
  for (var c = 0u; c < channels; c++) {
    let scale = r * gamma[g * channels + c];
    let shift = beta[g * channels + c] - m * scale;
    for (var j = 0u; j < pixels; j++) { let at = start + c * pixels + j; y[at] = x[at] * scale + shift; }
  }
}
