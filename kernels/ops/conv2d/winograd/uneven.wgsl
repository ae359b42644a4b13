// Largest size and sum of fourth roots over the lanes of a workgroup, a power of two of them.
var<workgroup> parts: array<vec2f, lanes>;

fn kernel(group: u32, lane: u32) {
  let first = ((group / dims.run * 36u + centre) * dims.C) * dims.T + group % dims.run * dims.tiles;
  var part = vec2f();
  for (var i = lane; i < dims.C * dims.tiles; i += lanes) {
    let size = abs(v[first + i / dims.tiles * dims.T + i % dims.tiles]);
    part = vec2f(max(part.x, size), part.y + sqrt(sqrt(size)));
  }
  parts[lane] = part;
  workgroupBarrier();
  for (var reach = lanes / 2u; reach > 0u; reach /= 2u) {
    if (lane < reach) {
      let other = parts[lane + reach];
      parts[lane] = vec2f(max(parts[lane].x, other.x), parts[lane].y + other.y);
    }
    workgroupBarrier();
  }
  if (lane == 0u) {
    let highest = parts[0].x;
    let count = f32(dims.C * dims.tiles);
    let root = parts[0].y / count;
    let most = select(mostTimes, min(mostTimes, 0.5 * count * count * count), count > 2.0);
    uneven[group] = select(1u, 0u, highest < huge && highest <= most * (root * root) * (root * root));
  }
}
