// One workgroup for each group of an image: mean, variance, then the normalised and activated values.
fn kernel(group: u32, lane: u32) {
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
}
