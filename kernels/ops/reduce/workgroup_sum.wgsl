// Sums over runs of `length` neighbouring lanes, a power of two: every lane gets the sum of its run.
// All lanes of the workgroup call it together. Needs the constant `lanes`.
var<workgroup> parts: array<vec2f, lanes>;
fn runSum(lane: u32, length: u32, value: vec2f) -> vec2f {
  parts[lane] = value;
  workgroupBarrier();
  for (var reach = length / 2u; reach > 0u; reach /= 2u) {
    if (lane % length < reach) { parts[lane] += parts[lane + reach]; }
    workgroupBarrier();
  }
  let total = parts[lane - lane % length];
  workgroupBarrier();
  return total;
}
