// Recognises NaN by its bits: WGSL's max and min may drop NaN, and compilers may assume that there is none.
fn isNan(v: f32) -> bool { return (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u; }
// The larger of two numbers; NaN if one of them is.
fn larger(a: f32, b: f32) -> f32 { return select(select(max(a, b), b, isNan(b)), a, isNan(a)); }
// Whether b is larger than a, NaN being larger than all numbers.
fn isLarger(b: f32, a: f32) -> bool { return b > a || (isNan(b) && !isNan(a)); }
