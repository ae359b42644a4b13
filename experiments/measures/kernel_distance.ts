import { bootstrap, type Estimate, type Resampling } from "../../models/measures/estimate.ts";
import { checkPair, type Points } from "../../models/measures/points.ts";
import { productBlocks } from "../../models/measures/neighbours.ts";

/**
 * Kernel distance of two sets of features (KID) with its interval: the unbiased squared maximum mean discrepancy with the
 * kernel k(x, y) = (x y / F + 1)^3, of all samples rather than the mean over subsets. It is unbiased, and so may be below 0.
 *
 * Inner products are computed in f32 on the device in use, and summed in f64. The interval is for other samples of the same
 * network, with the reference held fixed; see `bootstrap()`.
 *
 * @param reference features of real images, f32[N, F], N at least 2
 * @param samples features of samples, f32[M, F], M at least 2
 * @throws {MeasureError} if the points are invalid
 *
 * Source: Binkowski et al. 2018, arXiv:1801.01401, equation 4 and section 3
 */
export async function kernelDistance(
  reference: Points,
  samples: Points,
  resampling?: Resampling,
): Promise<Estimate> {
  checkPair("take the kernel distance", reference, samples, 2);
  const [within, amongReal, toReal] = [
    await meanKernels(samples),
    await meanKernels(reference),
    await meanKernels(samples, reference),
  ];
  const value = meanOf(within) + meanOf(amongReal) - 2 * meanOf(toReal);
  return bootstrap(value, within.map((mean, n) => 2 * (mean - toReal[n])), resampling);
}

/** The mean of k(a_i, b_j) over j for each i, f64[N]; without b, of k(a_i, a_j) over the others. */
async function meanKernels(a: Points, others?: Points): Promise<Float64Array> {
  const b = others ?? a;
  const sums = new Float64Array(a.rows);
  for await (const block of productBlocks(a, b)) {
    for (let i = block.a.from; i < block.a.to; i++) {
      const from = (i - block.a.from) * block.stride - block.b.from;
      let sum = 0;
      for (let j = block.b.from; j < block.b.to; j++) {
        const base = block.values[from + j] / a.width + 1;
        if (others || i !== j) sum += base * base * base;
      }
      sums[i] += sum;
    }
  }
  return sums.map((sum) => sum / (others ? b.rows : b.rows - 1));
}

function meanOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
