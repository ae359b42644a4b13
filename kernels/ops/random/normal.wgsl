// ln x for x in (0, 1]: x = 2^e m with m in [sqrt(1/2), sqrt 2), ln m = 2 artanh(s), s = (m - 1) / (m + 1).
// Exact at 1 and precise near it, where the radius is small.
fn logarithm(x: f32) -> f32 {
  let bits = bitcast<u32>(x);
  var e = i32(bits >> 23u) - 127;
  var m = bitcast<f32>((bits & 0x7fffffu) | 0x3f800000u);
  if (m > 1.41421356) { m *= 0.5; e += 1; }
  let s = (m - 1.0) / (m + 1.0);
  let z = s * s;
  let series = 2.0 * s * (1.0 + z * (0.33333333 + z * (0.2 + z * (0.14285714 + z * 0.11111111))));
  return f32(e) * 0.69314718 + series;
}
// (cos, sin) of 2 pi u for u in [0, 1): an exact quarter turn, then series on [-pi/4, pi/4].
fn circle(u: f32) -> vec2f {
  let quarter = floor(4.0 * u + 0.5);
  let a = 6.28318531 * (u - 0.25 * quarter);
  let z = a * a;
  let c = 1.0 + z * (-0.5 + z * (0.041666667 + z * (-0.0013888889 + z * 2.4801587e-5)));
  let s = a * (1.0 + z * (-0.16666667 + z * (0.0083333333 + z * (-1.984127e-4 + z * 2.7557319e-6))));
  switch u32(quarter) & 3u {
    case 1u: { return vec2f(-s, c); }
    case 2u: { return vec2f(-c, -s); }
    case 3u: { return vec2f(s, -c); }
    default: { return vec2f(c, s); }
  }
}
// Two normals from two words, by Box and Muller.
fn normals(words: vec2u) -> vec2f {
  let bits = words >> vec2u(8u);
  let radius = sqrt(-2.0 * logarithm(f32(bits.x + 1u) * 0x1p-24));
  return radius * circle(f32(bits.y) * 0x1p-24);
}
