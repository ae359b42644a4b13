// Functions known to the elementwise kernels. This file is compiled as TypeScript and as AssemblyScript.

/** Functions of one array. */
export enum Unary {
  gelu,
  silu,
  relu,
  sigmoid,
  square,
  sqrt,
  exp,
  abs,
}

/** Functions of two arrays. */
export enum Binary {
  add,
  subtract,
  multiply,
  divide,
  maximum,
  minimum,
  greater,
}

/** Functions of three arrays. */
export enum Ternary {
  where,
  largerShare,
}

/** Functions of one array that are computed in f64; `pow` also takes an exponent. */
export enum Transcendental {
  sin,
  cos,
  tanh,
  log,
  pow,
}
