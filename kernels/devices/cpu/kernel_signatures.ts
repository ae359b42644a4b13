// Made by `deno task build wasm` from assembly/kernels/; do not edit.

/**
 * Arguments of each kernel in order: addresses and bytes are usize. The position of a kernel is its opcode.
 *
 * @internal
 */
export const kernelSignatures = {
  winogradWeights: "w: usize, C: i32, K: i32, strideC: usize, strideK: usize, turned: i32, taps: i32",
  winogradConvolve:
    "source: usize, target: usize, bias: usize, addend: usize, N: i32, C: i32, H: i32, W: i32, K: i32, B: i32, w: usize, strideC: usize, strideK: usize, turned: i32, taps: i32",
  winogradGradientParts:
    "x: usize, dy: usize, N: i32, C: i32, H: i32, W: i32, K: i32, taps: i32, groups: i32, run: i32, parts: i32",
  winogradGradientSum:
    "dw: usize, C: i32, K: i32, taps: i32, groups: i32, parts: i32, x: usize, dy: usize, N: i32, H: i32, W: i32, run: i32",
  convTranspose2d: "x: usize, w: usize, bias: usize, y: usize, N: i32, C: i32, H: i32, W: i32, K: i32",
  convTranspose2dInputGradient:
    "dy: usize, w: usize, bias: usize, dx: usize, N: i32, K: i32, C: i32, H: i32, W: i32",
  convolveWeights:
    "w: usize, groups: i32, C: i32, K: i32, strideG: usize, strideK: usize, strideC: usize, vertical.source: i32, vertical.target: i32, vertical.taps: i32, vertical.step: i32, vertical.origin: i32, vertical.stride: i32, vertical.spread: i32, vertical.low: i32, vertical.length: i32, horizontal.source: i32, horizontal.target: i32, horizontal.taps: i32, horizontal.step: i32, horizontal.origin: i32, horizontal.stride: i32, horizontal.spread: i32, horizontal.low: i32, horizontal.length: i32",
  convolve:
    "source: usize, bias: usize, addend: usize, target: usize, N: i32, B: i32, groups: i32, C: i32, K: i32, splits: i32, vertical.source: i32, vertical.target: i32, vertical.taps: i32, vertical.step: i32, vertical.origin: i32, vertical.stride: i32, vertical.spread: i32, vertical.low: i32, vertical.length: i32, horizontal.source: i32, horizontal.target: i32, horizontal.taps: i32, horizontal.step: i32, horizontal.origin: i32, horizontal.stride: i32, horizontal.spread: i32, horizontal.low: i32, horizontal.length: i32",
  convolveGradientParts:
    "x: usize, dy: usize, N: i32, groups: i32, C: i32, K: i32, runs: i32, run: i32, parts: i32, vertical.source: i32, vertical.target: i32, vertical.taps: i32, vertical.step: i32, vertical.origin: i32, vertical.stride: i32, vertical.spread: i32, vertical.low: i32, vertical.length: i32, horizontal.source: i32, horizontal.target: i32, horizontal.taps: i32, horizontal.step: i32, horizontal.origin: i32, horizontal.stride: i32, horizontal.spread: i32, horizontal.low: i32, horizontal.length: i32",
  fill: "y: usize, n: i32, value: f32",
  put: "y: usize, x: usize, index: usize, n: i32",
  copyRows: "from: usize, to: usize, rows: i32, bytes: usize, fromStep: usize, toStep: usize",
  logSoftmax: "x: usize, y: usize, R: i32, C: i32",
  logSoftmaxGradient: "y: usize, dy: usize, dx: usize, R: i32, C: i32",
  crossEntropy: "logits: usize, labels: usize, y: usize, N: i32, C: i32",
  crossEntropyGradient: "logits: usize, labels: usize, dy: usize, dlogits: usize, N: i32, C: i32",
  unary: "x: usize, y: usize, n: i32, f: i32",
  unaryGradient: "x: usize, dy: usize, dx: usize, n: i32, f: i32",
  binary: "a: usize, b: usize, y: usize, n: i32, f: i32",
  broadcast:
    "a: usize, b: usize, y: usize, f: i32, n0: i32, n1: i32, n2: i32, n3: i32, walkA.s0: i32, walkA.s1: i32, walkA.s2: i32, walkA.s3: i32, walkB.s0: i32, walkB.s1: i32, walkB.s2: i32, walkB.s3: i32",
  affine: "x: usize, y: usize, S: i32, scale: f32, shift: f32",
  gatherImages: "bytes: usize, indices: usize, x: usize, B: i32, N: i32, P: i32, scale: f32, shift: f32",
  gatherRows: "table: usize, indices: usize, y: usize, M: i32, N: i32, P: i32, missing: i32",
  scatterRows: "dy: usize, indices: usize, dtable: usize, N: i32, P: i32, M: i32",
  pick: "x: usize, index: usize, y: usize, A: i32, R: i32, B: i32, S: i32",
  place: "dy: usize, index: usize, dx: usize, A: i32, R: i32, B: i32, S: i32, chunk: i32",
  groupNorm:
    "x: usize, gamma: usize, beta: usize, y: usize, stats: usize, N: i32, C: i32, H: i32, W: i32, G: i32, epsilon: f32, activation: i32",
  groupNormGradient:
    "x: usize, gamma: usize, beta: usize, stats: usize, dy: usize, dx: usize, scales: usize, shifts: usize, N: i32, C: i32, H: i32, W: i32, G: i32, activation: i32",
  layerNorm: "x: usize, gamma: usize, beta: usize, y: usize, R: i32, C: i32, epsilon: f32",
  layerNormGradient: "x: usize, gamma: usize, dy: usize, dx: usize, R: i32, C: i32, epsilon: f32",
  layerNormScales: "x: usize, dy: usize, scales: usize, R: i32, C: i32, S: i32, run: i32, epsilon: f32",
  matmul:
    "a: usize, b: usize, bias: usize, y: usize, A: i32, B: i32, Y: i32, M: i32, N: i32, K: i32, am: usize, ak: usize, bk: usize, bn: usize",
  conv1x1:
    "x: usize, w: usize, bias: usize, addend: usize, y: usize, N: i32, C: i32, pixels: i32, K: i32, B: i32, wk: usize, wc: usize",
  correlateParts:
    "a: usize, b: usize, N: i32, M: i32, H: i32, W: i32, K: i32, groups: i32, run: i32, parts: i32, folded: i32",
  sumParts: "y: usize, groups: i32, parts: i32, n: i32",
  indexOfMax: "x: usize, index: usize, A: i32, R: i32, B: i32, S: i32, chunk: i32, sign: f32",
  adamUpdate: "p: usize, m: usize, v: usize, g: usize, norm: usize, settings: usize, n: i32, decoupled: i32",
  sgdUpdate: "p: usize, m: usize, g: usize, norm: usize, settings: usize, n: i32",
  emaUpdate: "e: usize, p: usize, settings: usize, n: i32",
  permute:
    "x: usize, y: usize, n0: i32, s0: i32, t0: i32, n1: i32, s1: i32, t1: i32, n2: i32, s2: i32, t2: i32, n3: i32, s3: i32, t3: i32, R: i32, sR: i32, tR: i32, C: i32, sC: i32",
  randomUniform: "key: usize, y: usize, n: i32",
  randomNormal: "key: usize, y: usize, n: i32",
  randomNormalRows: "key: usize, row: usize, y: usize, N: i32, P: i32",
  sumChunks: "x: usize, y: usize, A: i32, R: i32, B: i32, S: i32, chunk: i32",
  spreadChunks: "dy: usize, dx: usize, A: i32, R: i32, B: i32, S: i32, chunk: i32",
  squaredErrors: "a: usize, b: usize, y: usize, n: i32, chunk: i32, S: i32",
  squaredErrorsGradient: "a: usize, b: usize, dy: usize, da: usize, n: i32, chunk: i32, S: i32",
  softmax: "x: usize, y: usize, R: i32, C: i32",
  softmaxGradient: "y: usize, dy: usize, dx: usize, R: i32, C: i32",
  maxPool2d: "x: usize, y: usize, N: i32, C: i32, H: i32, W: i32, P: i32, Q: i32",
  maxPool2dGradient: "x: usize, dy: usize, dx: usize, N: i32, C: i32, H: i32, W: i32, P: i32, Q: i32",
  pickMaxima: "x: usize, d: usize, y: usize, N: i32, C: i32, H: i32, W: i32, P: i32, Q: i32",
  resizeBilinear: "x: usize, y: usize, N: i32, C: i32, H: i32, W: i32, P: i32, Q: i32, gradient: i32",
  ternary:
    "u: usize, v: usize, w: usize, y: usize, f: i32, n0: i32, n1: i32, n2: i32, n3: i32, walkU.s0: i32, walkU.s1: i32, walkU.s2: i32, walkU.s3: i32, walkV.s0: i32, walkV.s1: i32, walkV.s2: i32, walkV.s3: i32, walkW.s0: i32, walkW.s1: i32, walkW.s2: i32, walkW.s3: i32",
  transcendental: "x: usize, y: usize, n: i32, f: i32, p: f32",
  transcendentalGradient: "x: usize, dy: usize, dx: usize, n: i32, f: i32",
} as const;
