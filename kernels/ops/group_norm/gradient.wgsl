// One invocation for each group of an image: sums over each channel, row by row, then dx from the sums over the group.
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
}
