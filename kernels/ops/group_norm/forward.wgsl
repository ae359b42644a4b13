// One invocation for each group of an image: mean, variance, then the normalised and activated values.
// Sums go row by row to keep f32 sums short.
fn kernel(i: u32) {
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
}
