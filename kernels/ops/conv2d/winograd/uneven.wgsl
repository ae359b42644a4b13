// Of tiles of an image: x the largest size, y the sum of fourth roots.
fn together(a: vec2f, b: vec2f) -> vec2f { return vec2f(max(a.x, b.x), a.y + b.y); }

// Every `step`-th tile of image n, from the first.
fn part(n: u32, first: u32, step: u32) -> vec2f {
  let base = (n / dims.run * 36u + centre) * dims.C * dims.T + n % dims.run * dims.tiles;
  var found = vec2f();
  for (var i = first; i < dims.C * dims.tiles; i += step) {
    let size = abs(v[base + i / dims.tiles * dims.T + i % dims.tiles]);
    found = together(found, vec2f(size, sqrt(sqrt(size))));
  }
  return found;
}

fn verdict(all: vec2f) -> u32 {
  let count = f32(dims.C * dims.tiles);
  let root = all.y / count;
  let most = select(mostTimes, min(mostTimes, 0.5 * count * count * count), count > 2.0);
  return select(1u, 0u, all.x < huge && all.x <= most * (root * root) * (root * root));
}
