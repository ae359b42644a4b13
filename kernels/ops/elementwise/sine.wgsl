// sin(x + quarters pi / 2). The sine of hardware may be wrong by 5e-4, and by anything for large x.
// pi / 2 is in three parts, so that what is left of x is exact. Source: Cody and Waite 1980, chapter 8
fn sine(x: f32, quarters: u32) -> f32 {
  let bits = bitcast<u32>(x);
  if ((bits & 0x7f800000u) == 0x7f800000u) { return bitcast<f32>(bits | 0x7fc00000u); } // NaN for NaN and infinities
  let k = round(x * 0.63661977);
  let r = clamp(((x - k * 1.5703125) - k * 0.0004837512969970703) - k * 7.549790126404332e-8, -0.8, 0.8);
  let s = r * r;
  let odd = r + r * s * (-0.16666667 + s * (0.008333334 + s * (-0.0001984127 + s * 2.7557319e-6)));
  let even = 1.0 + s * (-0.5 + s * (0.041666668 + s * (-0.0013888889 + s * (2.4801588e-5 - s * 2.7557319e-7))));
  let quadrant = (bitcast<u32>(i32(k)) + quarters) & 3u;
  let value = select(odd, even, (quadrant & 1u) == 1u);
  return select(value, -value, (quadrant & 2u) == 2u);
}
