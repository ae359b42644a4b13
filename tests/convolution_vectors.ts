/** Convolutions with PyTorch's results, gradients and second derivatives; see tests/vectors/convolutions.py. */

import {
  add,
  conv2d,
  convTranspose2d,
  gradients,
  multiply,
  square,
  sum,
  type Tensor,
} from "../kernels/mod.ts";
import { assertClose } from "./testing.ts";
import type { Vectors } from "./models/vectors.ts";

/** A convolution of a file of vectors. */
export interface ConvolutionCase {
  readonly transposed: boolean;
  /** Options of `conv2d` or `convTranspose2d`. */
  readonly options: Readonly<Record<string, number | [number, number]>>;
}

/** The convolutions of a file. */
export function convolutionCases({ metadata }: Vectors): readonly ConvolutionCase[] {
  return JSON.parse(metadata.cases);
}

/** What a case is, for messages. */
export function showCase(vectors: Vectors, i: number, { transposed, options }: ConvolutionCase): string {
  const [x, w] = ["x", "w"].map((name) => `${name} [${vectors.tensors.get(`${i}.${name}`)!.shape}]`);
  return `case ${i}: ${transposed ? "convTranspose2d" : "conv2d"} ${x} ${w} ${JSON.stringify(options)}`;
}

/** Asserts that a case has PyTorch's result, gradients and second derivatives. */
export async function assertConvolves(vectors: Vectors, i: number, given: ConvolutionCase): Promise<void> {
  const names = ["x", "w", "bias"] as const, what = showCase(vectors, i, given);
  const of = (name: string) => vectors.tensor(`${i}.${name}`);
  const inputs = names.map(of), [x, w, bias] = inputs;
  const y = (given.transposed ? convTranspose2d : conv2d)(x, w, bias, given.options);
  const first = gradients(sum(multiply(of("v"), square(y))), inputs);
  const slopes = names.map((name, at) => sum(multiply(first[at], of(`along.${name}`))));
  const second = gradients(slopes.reduce((total, slope) => add(total, slope)), inputs);
  const expect = async (name: string, found: Tensor, tolerance: number) =>
    assertClose(await found.read(), vectors.values(`${i}.${name}`), tolerance, `${name} of ${what}`);
  await expect("y", y, 2e-5);
  for (const [at, name] of names.entries()) {
    await expect(`d${name}`, first[at], 1e-4);
    await expect(`dd${name}`, second[at], 2e-4);
  }
}
