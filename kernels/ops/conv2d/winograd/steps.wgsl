// Winograd's F(4x4, 3x3) in one dimension; the matrices stand in matrices.ts. In two dimensions each runs down the columns,
// then along the rows.

// B' d: six values of a source.
fn sourceStep(d: array<f32, 6>) -> array<f32, 6> {
  let a = d[4] - 4.0 * d[2];
  let b = d[3] - 4.0 * d[1];
  let c = d[4] - d[2];
  let e = 2.0 * (d[3] - d[1]);
  return array<f32, 6>(
    4.0 * d[0] + d[4] - 5.0 * d[2], a + b, a - b, c + e, c - e, 4.0 * d[1] + d[5] - 5.0 * d[3],
  );
}

// G g: three weights.
fn weightStep(g: array<f32, 3>) -> array<f32, 6> {
  let s = g[0] + g[2];
  let t = g[0] + 4.0 * g[2];
  let b = 2.0 * g[1];
  let sixth = -1.0 / 6.0;
  let small = 1.0 / 24.0;
  return array<f32, 6>(
    0.25 * g[0], sixth * (s + g[1]), sixth * (s - g[1]), small * (t + b), small * (t - b), g[2],
  );
}

// A' m: six products become four pixels.
fn targetStep(m: array<f32, 6>) -> array<f32, 4> {
  let s = m[1] + m[2];
  let d = m[1] - m[2];
  let t = m[3] + m[4];
  let e = m[3] - m[4];
  return array<f32, 4>(m[0] + (s + t), d + 2.0 * e, s + 4.0 * t, d + 8.0 * e + m[5]);
}

// A d: four pixels of a gradient.
fn gradientStep(d: array<f32, 4>) -> array<f32, 6> {
  let even = d[0] + d[2];
  let odd = d[1] + d[3];
  let even2 = d[0] + 4.0 * d[2];
  let odd2 = 2.0 * d[1] + 8.0 * d[3];
  return array<f32, 6>(d[0], even + odd, even - odd, even2 + odd2, even2 - odd2, d[3]);
}

// G' u: six sums become three weights.
fn weightGradientStep(u: array<f32, 6>) -> array<f32, 3> {
  let s = (u[1] + u[2]) * (1.0 / 6.0);
  let d = (u[2] - u[1]) * (1.0 / 6.0);
  let t = (u[3] + u[4]) * (1.0 / 24.0);
  let e = (u[3] - u[4]) * (1.0 / 12.0);
  return array<f32, 3>(0.25 * u[0] - s + t, d + e, 4.0 * t - s + u[5]);
}
