// Threefry-2x32, 20 rounds; see threefry.ts.
fn round4(v: vec2u, by: vec4u) -> vec2u {
  var x = v.x;
  var y = v.y;
  x += y; y = ((y << by.x) | (y >> (32u - by.x))) ^ x;
  x += y; y = ((y << by.y) | (y >> (32u - by.y))) ^ x;
  x += y; y = ((y << by.z) | (y >> (32u - by.z))) ^ x;
  x += y; y = ((y << by.w) | (y >> (32u - by.w))) ^ x;
  return vec2u(x, y);
}
fn threefry(key: vec2u, counter: vec2u) -> vec2u {
  const even = vec4u(13u, 15u, 26u, 6u);
  const odd = vec4u(17u, 29u, 16u, 24u);
  let third = 0x1bd11bdau ^ key.x ^ key.y;
  var v = counter + key;
  v = round4(v, even) + vec2u(key.y, third + 1u);
  v = round4(v, odd) + vec2u(third, key.x + 2u);
  v = round4(v, even) + vec2u(key.x, key.y + 3u);
  v = round4(v, odd) + vec2u(key.y, third + 4u);
  v = round4(v, even) + vec2u(third, key.x + 5u);
  return v;
}
