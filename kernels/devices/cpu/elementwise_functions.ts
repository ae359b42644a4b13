// Functions that the kernels of elementwise ops know. TypeScript and AssemblyScript both compile this file.

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
