import { type Product, repeatLines } from "../matmul/product.ts";

/**
 * A kernel of 2 x 2 with stride 2 covers each pixel of y exactly once, so all three passes are plain products between
 * x[c, pixel] and y[tap, pixel], tap = (k, a, b): no taps overlap, no edges.
 */
const declarations = `struct Pixel { x: u32, y: u32 } // index in x[n, 0, h, w] and in y[n, 0, 2 h, 2 w]
fn pixelOf(i: u32) -> Pixel {
  let pixels = dims.H * dims.W;
  let image = i / pixels;
  let at = i % pixels;
  return Pixel(
    image * dims.C * pixels + at,
    (image * dims.K * dims.P + at / dims.W * 2u) * dims.Q + at % dims.W * 2u,
  );
}
fn tapOf(i: u32) -> u32 { return (i / 4u * dims.P + i / 2u % 2u) * dims.Q + i % 2u; }`;

/** y[tap, pixel] = sum over c of w[c, tap] x[c, pixel] + bias. */
export const forwardProduct: Product = {
  declarations,
  rows: "4u * dims.K",
  columns: "dims.N * dims.H * dims.W",
  depth: "dims.C",
  position: "k",
  a: { along: "edge", edge: (tap) => tap, element: (tap) => `w[d * 4u * dims.K + ${tap}]` },
  b: {
    along: "edge",
    edge: (i) => `pixelOf(${i}).x`,
    element: (pixel) => `x[${pixel} + d * dims.H * dims.W]`,
  },
  columnTarget: "pixelOf(column).y",
  rowTarget: "tapOf(row)",
  target: "y",
  stored: "value + bias[row / 4u]",
};

/** dx[c, pixel] = sum over taps of w[c, tap] dy[tap, pixel]. */
export const inputGradientProduct: Product = {
  declarations,
  rows: "dims.C",
  columns: "dims.N * dims.H * dims.W",
  depth: "4u * dims.K",
  position: "k",
  a: { along: "depth", edge: (c) => c, element: (c) => `w[${c} * 4u * dims.K + d]` },
  b: { along: "edge", edge: (i) => `pixelOf(${i}).y`, element: (pixel) => `dy[${pixel} + tapOf(d)]` },
  columnTarget: "pixelOf(column).x",
  rowTarget: "row * dims.H * dims.W",
  target: "dx",
};

/** dw[c, tap] = sum over the pixels of a run of images of x[c, pixel] dy[tap, pixel]. */
export const weightGradientProduct: Product = {
  declarations,
  rows: "dims.C",
  columns: "4u * dims.K",
  depth: "min(dims.run, dims.N - batch * dims.run) * dims.H * dims.W",
  position: "pixelOf(batch * dims.run * dims.H * dims.W + k)",
  a: { along: "depth", edge: (c) => `${c} * dims.H * dims.W`, element: (c) => `x[d.x + ${c}]` },
  b: { along: "depth", edge: (i) => `tapOf(${i})`, element: (tap) => `dy[d.y + ${tap}]` },
  columnTarget: "batch * rows * columns + column",
  rowTarget: "row * columns",
  target: "dw",
};

/**
 * Transposed convolutions for software adapters, which load numbers lane by lane: each invocation holds a tile in
 * registers, so that a number is loaded once and used several times.
 */

/** Pixels of the smaller image, adjacent in memory, that one invocation computes. */
const pixels = 7;
/** Channels that it computes for them. */
const outputs = 4;
const inputs = 8;

const vector = (element: (j: number) => string) => `vec4f(${[0, 1, 2, 3].map(element).join(", ")})`;

/** Invocations of y, of the gradient of x, and of the gradient of w for one run of images. */
export const tilesOf = {
  forward: (K: number, size: number): number => Math.ceil(K / outputs) * Math.ceil(size / pixels),
  input: (C: number, size: number): number => Math.ceil(C / inputs) * Math.ceil(size / pixels),
  weight: (C: number, K: number): number => Math.ceil(C / inputs) * Math.ceil(K / outputs),
};

/** Where the invocation's pixels are: `at` in the smaller image, `up` in the larger one. */
const pixelPositions = `  let size = dims.H * dims.W;
  let runs = (size + ${pixels - 1}u) / ${pixels}u;
  let first = i / tiles % runs * ${pixels}u;
  let n = i / (tiles * runs);
${
  repeatLines(pixels, (p) =>
    `  let at${p} = min(first + ${p}u, size - 1u);
  let up${p} = at${p} / dims.W * 2u * dims.Q + at${p} % dims.W * 2u;`)
}`;

/** y: seven pixels become 7 x 2 x 2 of four channels; a vector holds the 2 x 2. */
export const forwardWgsl = `fn kernel(i: u32) {
  let tiles = (dims.K + ${outputs - 1}u) / ${outputs}u;
  let firstK = i % tiles * ${outputs}u;
${pixelPositions}
${repeatLines(outputs, (j) => `  let k${j} = min(firstK + ${j}u, dims.K - 1u);`)}
${repeatLines(pixels, (p) => repeatLines(outputs, (j) => `  var s_${p}_${j} = vec4f(bias[k${j}]);`))}
  for (var c = 0u; c < dims.C; c++) {
    let source = (n * dims.C + c) * size;
${
  repeatLines(outputs, (j) =>
    `    let from${j} = (c * dims.K + k${j}) * 4u;
    let w${j} = ${vector((tap) => `w[from${j} + ${tap}u]`)};`)
}
${
  repeatLines(pixels, (p) =>
    `    let x${p} = x[source + at${p}];\n${
      repeatLines(outputs, (j) =>
        `    s_${p}_${j} += x${p} * w${j};`)
    }`)
}
  }
${
  repeatLines(outputs, (j) =>
    `  if (firstK + ${j}u < dims.K) {
    let plane = (n * dims.K + k${j}) * dims.P * dims.Q;
${
      repeatLines(pixels, (p) =>
        `    if (first + ${p}u < size) {
      let to = plane + up${p};
      y[to] = s_${p}_${j}[0]; y[to + 1u] = s_${p}_${j}[1];
      y[to + dims.Q] = s_${p}_${j}[2]; y[to + dims.Q + 1u] = s_${p}_${j}[3];
    }`)
    }
  }`)
}
}`;

const taps = ["", " + 1u", " + dims.Q", " + dims.Q + 1u"];

/** dx: seven pixels of eight channels, in vectors of four channels. */
export const inputGradientWgsl = `fn kernel(i: u32) {
  let tiles = (dims.C + ${inputs - 1}u) / ${inputs}u;
  let firstC = i % tiles * ${inputs}u;
${pixelPositions}
${repeatLines(inputs, (j) => `  let from${j} = min(firstC + ${j}u, dims.C - 1u) * dims.K * 4u;`)}
${repeatLines(pixels, (p) => repeatLines(inputs / 4, (q) => `  var s_${p}_${q} = vec4f();`))}
  for (var k = 0u; k < dims.K; k++) {
    let plane = (n * dims.K + k) * dims.P * dims.Q;
${
  repeatLines(4, (tap) =>
    repeatLines(inputs / 4, (q) =>
      `    let w${tap}_${q} = ${
        vector((j) => `w[from${4 * q + j} + 4u * k + ${tap}u]`)
      };`))
}
${
  repeatLines(pixels, (p) =>
    repeatLines(4, (tap) =>
      `    let d_${p}_${tap} = dy[plane + up${p}${taps[tap]}];\n${
        repeatLines(inputs / 4, (q) =>
          `    s_${p}_${q} += d_${p}_${tap} * w${tap}_${q};`)
      }`))
}
  }
${
  repeatLines(inputs, (j) =>
    `  if (firstC + ${j}u < dims.C) {
    let plane = (n * dims.C + firstC + ${j}u) * size;
${
      repeatLines(pixels, (p) =>
        `    if (first + ${p}u < size) { dx[plane + at${p}] = s_${p}_${Math.floor(j / 4)}[${j % 4}]; }`)
    }
  }`)
}
}`;

/** dw of a run of images: eight by four channels; a vector holds the four taps. */
export const weightGradientWgsl = `fn kernel(i: u32) {
  let tilesC = (dims.C + ${inputs - 1}u) / ${inputs}u;
  let tilesK = (dims.K + ${outputs - 1}u) / ${outputs}u;
  let firstC = i % tilesC * ${inputs}u;
  let firstK = i / tilesC % tilesK * ${outputs}u;
  let g = i / (tilesC * tilesK);
${repeatLines(inputs, (c) => `  let c${c} = min(firstC + ${c}u, dims.C - 1u) * dims.H * dims.W;`)}
${repeatLines(outputs, (j) => `  let k${j} = min(firstK + ${j}u, dims.K - 1u) * dims.P * dims.Q;`)}
${repeatLines(inputs, (c) => repeatLines(outputs, (j) => `  var s_${c}_${j} = vec4f();`))}
  for (var n = g * dims.run; n < min((g + 1u) * dims.run, dims.N); n++) {
    for (var h = 0u; h < dims.H; h++) {
      for (var w = 0u; w < dims.W; w++) {
        let small = (n * dims.C * dims.H + h) * dims.W + w;
        let large = (n * dims.K * dims.P + 2u * h) * dims.Q + 2u * w;
${repeatLines(outputs, (j) => `        let d${j} = ${vector((tap) => `dy[large + k${j}${taps[tap]}]`)};`)}
${
  repeatLines(inputs, (c) =>
    `        let x${c} = x[small + c${c}];\n${
      repeatLines(outputs, (j) =>
        `        s_${c}_${j} += x${c} * d${j};`)
    }`)
}
      }
    }
  }
${
  repeatLines(inputs, (c) =>
    repeatLines(outputs, (j) =>
      `  if (firstC + ${c}u < dims.C && firstK + ${j}u < dims.K) {
    let to = ((g * dims.C + firstC + ${c}u) * dims.K + firstK + ${j}u) * 4u;
${
        repeatLines(4, (tap) => `    dw[to + ${tap}u] = s_${c}_${j}[${tap}];`)
      }
  }`))
}
}`;
