// Made by `deno task build wasm` from kernels/; do not edit.
// deno-fmt-ignore-file

import { axis, integer, isAlone, opcode, pointer, real } from "./call.ts";
import { averagePool2d, averagePool2dGradient } from "./kernels/average_pool.ts";
import { winogradWeights, winogradWeightsWorkspace, winogradConvolve, winogradConvolveWorkspace } from "./kernels/conv2d.ts";
import { winogradGradientParts, winogradGradientPartsWorkspace, winogradGradientSum, winogradGradientSumWorkspace } from "./kernels/conv2d_gradient.ts";
import { convTranspose2d, convTranspose2dWorkspace, convTranspose2dInputGradient, convTranspose2dInputGradientWorkspace } from "./kernels/conv_transpose2d.ts";
import { convolveWeights, convolveWeightsWorkspace, convolve, convolveWorkspace } from "./kernels/convolve.ts";
import { convolveGradientParts, convolveGradientPartsWorkspace } from "./kernels/convolve_gradient.ts";
import { fill, put, copyRows } from "./kernels/copy.ts";
import { logSoftmax, logSoftmaxGradient, crossEntropy, crossEntropyGradient } from "./kernels/cross_entropy.ts";
import { unary, unaryGradient, binary, broadcast, affine } from "./kernels/elementwise.ts";
import { gatherImages, gatherRows, scatterRows, pick, place } from "./kernels/gather.ts";
import { groupNorm, groupNormGradient } from "./kernels/group_norm.ts";
import { layerNorm, layerNormGradient, layerNormScales } from "./kernels/layer_norm.ts";
import { matmul, conv1x1, correlateParts, correlatePartsWorkspace, sumParts, sumPartsWorkspace } from "./kernels/matmul.ts";
import { indexOfMax } from "./kernels/max.ts";
import { adamUpdate, sgdUpdate, emaUpdate } from "./kernels/optimizer.ts";
import { permute } from "./kernels/permute.ts";
import { randomUniform, randomNormal, randomNormalRows } from "./kernels/random.ts";
import { sumChunks, spreadChunks, squaredErrors, squaredErrorsGradient, softmax, softmaxGradient } from "./kernels/reduce.ts";
import { maxPool2d, maxPool2dGradient, pickMaxima, resizeBilinear } from "./kernels/resample.ts";
import { ternary } from "./kernels/ternary.ts";
import { transcendental, transcendentalGradient } from "./kernels/transcendental.ts";
import { me, team } from "./threads.ts";
import { claimWorkspace } from "./workspace.ts";

/** Runs the kernel of a call; if it runs on one thread, the other threads do nothing. */
export function execute(call: usize): void {
  if (me != 0 && isAlone(call)) return;
  switch (opcode(call)) {
    case 0: return averagePool2d(call, pointer(call, 0), pointer(call, 1), integer(call, 2), integer(call, 3), integer(call, 4), integer(call, 5), integer(call, 6), integer(call, 7), integer(call, 8), integer(call, 9), integer(call, 10));
    case 1: return averagePool2dGradient(call, pointer(call, 0), pointer(call, 1), integer(call, 2), integer(call, 3), integer(call, 4), integer(call, 5), integer(call, 6), integer(call, 7), integer(call, 8), integer(call, 9), integer(call, 10));
    case 2: return winogradWeights(call, claimWorkspace(call, winogradWeightsWorkspace(integer(call, 1), integer(call, 2), integer(call, 6))), pointer(call, 0), integer(call, 1), integer(call, 2), pointer(call, 3), pointer(call, 4), integer(call, 5), integer(call, 6));
    case 3: return winogradConvolve(call, claimWorkspace(call, winogradConvolveWorkspace(integer(call, 4), integer(call, 5), integer(call, 6), integer(call, 7), integer(call, 8), integer(call, 14), team)), pointer(call, 0), pointer(call, 1), pointer(call, 2), pointer(call, 3), integer(call, 4), integer(call, 5), integer(call, 6), integer(call, 7), integer(call, 8), integer(call, 9), pointer(call, 10), pointer(call, 11), pointer(call, 12), integer(call, 13), integer(call, 14));
    case 4: return winogradGradientParts(call, claimWorkspace(call, winogradGradientPartsWorkspace(integer(call, 2), integer(call, 3), integer(call, 4), integer(call, 5), integer(call, 6), integer(call, 7), integer(call, 8), integer(call, 10), team)), pointer(call, 0), pointer(call, 1), integer(call, 2), integer(call, 3), integer(call, 4), integer(call, 5), integer(call, 6), integer(call, 7), integer(call, 8), integer(call, 9), integer(call, 10));
    case 5: return winogradGradientSum(call, claimWorkspace(call, winogradGradientSumWorkspace(integer(call, 1), integer(call, 2), integer(call, 3), integer(call, 4), integer(call, 5), team)), pointer(call, 0), integer(call, 1), integer(call, 2), integer(call, 3), integer(call, 4), integer(call, 5), pointer(call, 6), pointer(call, 7), integer(call, 8), integer(call, 9), integer(call, 10), integer(call, 11));
    case 6: return convTranspose2d(call, claimWorkspace(call, convTranspose2dWorkspace(integer(call, 8), integer(call, 6), integer(call, 7), team)), pointer(call, 0), pointer(call, 1), pointer(call, 2), pointer(call, 3), integer(call, 4), integer(call, 5), integer(call, 6), integer(call, 7), integer(call, 8));
    case 7: return convTranspose2dInputGradient(call, claimWorkspace(call, convTranspose2dInputGradientWorkspace(integer(call, 5), integer(call, 7), integer(call, 8), team)), pointer(call, 0), pointer(call, 1), pointer(call, 2), pointer(call, 3), integer(call, 4), integer(call, 5), integer(call, 6), integer(call, 7), integer(call, 8));
    case 8: return convolveWeights(call, claimWorkspace(call, convolveWeightsWorkspace(integer(call, 1), integer(call, 2), integer(call, 3), axis(call, 7), axis(call, 16), team)), pointer(call, 0), integer(call, 1), integer(call, 2), integer(call, 3), pointer(call, 4), pointer(call, 5), pointer(call, 6), axis(call, 7), axis(call, 16));
    case 9: return convolve(call, claimWorkspace(call, convolveWorkspace(integer(call, 6), integer(call, 7), integer(call, 8), axis(call, 10), axis(call, 19), team)), pointer(call, 0), pointer(call, 1), pointer(call, 2), pointer(call, 3), integer(call, 4), integer(call, 5), integer(call, 6), integer(call, 7), integer(call, 8), integer(call, 9), axis(call, 10), axis(call, 19));
    case 10: return convolveGradientParts(call, claimWorkspace(call, convolveGradientPartsWorkspace(integer(call, 3), integer(call, 4), integer(call, 5), integer(call, 6), integer(call, 8), axis(call, 9), axis(call, 18), team)), pointer(call, 0), pointer(call, 1), integer(call, 2), integer(call, 3), integer(call, 4), integer(call, 5), integer(call, 6), integer(call, 7), integer(call, 8), axis(call, 9), axis(call, 18));
    case 11: return fill(call, pointer(call, 0), integer(call, 1), real(call, 2));
    case 12: return put(call, pointer(call, 0), pointer(call, 1), pointer(call, 2), integer(call, 3));
    case 13: return copyRows(call, pointer(call, 0), pointer(call, 1), integer(call, 2), pointer(call, 3), pointer(call, 4), pointer(call, 5));
    case 14: return logSoftmax(call, pointer(call, 0), pointer(call, 1), integer(call, 2), integer(call, 3));
    case 15: return logSoftmaxGradient(call, pointer(call, 0), pointer(call, 1), pointer(call, 2), integer(call, 3), integer(call, 4));
    case 16: return crossEntropy(call, pointer(call, 0), pointer(call, 1), pointer(call, 2), integer(call, 3), integer(call, 4));
    case 17: return crossEntropyGradient(call, pointer(call, 0), pointer(call, 1), pointer(call, 2), pointer(call, 3), integer(call, 4), integer(call, 5));
    case 18: return unary(call, pointer(call, 0), pointer(call, 1), integer(call, 2), integer(call, 3));
    case 19: return unaryGradient(call, pointer(call, 0), pointer(call, 1), pointer(call, 2), integer(call, 3), integer(call, 4));
    case 20: return binary(call, pointer(call, 0), pointer(call, 1), pointer(call, 2), integer(call, 3), integer(call, 4));
    case 21: return broadcast(call, pointer(call, 0), pointer(call, 1), pointer(call, 2), integer(call, 3), integer(call, 4), integer(call, 5), integer(call, 6), integer(call, 7), integer(call, 8), integer(call, 9), integer(call, 10), integer(call, 11), integer(call, 12), integer(call, 13), integer(call, 14), integer(call, 15));
    case 22: return affine(call, pointer(call, 0), pointer(call, 1), integer(call, 2), real(call, 3), real(call, 4));
    case 23: return gatherImages(call, pointer(call, 0), pointer(call, 1), pointer(call, 2), integer(call, 3), integer(call, 4), integer(call, 5), real(call, 6), real(call, 7));
    case 24: return gatherRows(call, pointer(call, 0), pointer(call, 1), pointer(call, 2), integer(call, 3), integer(call, 4), integer(call, 5), integer(call, 6));
    case 25: return scatterRows(call, pointer(call, 0), pointer(call, 1), pointer(call, 2), integer(call, 3), integer(call, 4), integer(call, 5));
    case 26: return pick(call, pointer(call, 0), pointer(call, 1), pointer(call, 2), integer(call, 3), integer(call, 4), integer(call, 5), integer(call, 6));
    case 27: return place(call, pointer(call, 0), pointer(call, 1), pointer(call, 2), integer(call, 3), integer(call, 4), integer(call, 5), integer(call, 6), integer(call, 7));
    case 28: return groupNorm(call, pointer(call, 0), pointer(call, 1), pointer(call, 2), pointer(call, 3), pointer(call, 4), integer(call, 5), integer(call, 6), integer(call, 7), integer(call, 8), integer(call, 9), real(call, 10), integer(call, 11));
    case 29: return groupNormGradient(call, pointer(call, 0), pointer(call, 1), pointer(call, 2), pointer(call, 3), pointer(call, 4), pointer(call, 5), pointer(call, 6), pointer(call, 7), integer(call, 8), integer(call, 9), integer(call, 10), integer(call, 11), integer(call, 12), integer(call, 13));
    case 30: return layerNorm(call, pointer(call, 0), pointer(call, 1), pointer(call, 2), pointer(call, 3), integer(call, 4), integer(call, 5), real(call, 6));
    case 31: return layerNormGradient(call, pointer(call, 0), pointer(call, 1), pointer(call, 2), pointer(call, 3), integer(call, 4), integer(call, 5), real(call, 6));
    case 32: return layerNormScales(call, pointer(call, 0), pointer(call, 1), pointer(call, 2), integer(call, 3), integer(call, 4), integer(call, 5), integer(call, 6), real(call, 7));
    case 33: return matmul(call, pointer(call, 0), pointer(call, 1), pointer(call, 2), pointer(call, 3), integer(call, 4), integer(call, 5), integer(call, 6), integer(call, 7), integer(call, 8), integer(call, 9), pointer(call, 10), pointer(call, 11), pointer(call, 12), pointer(call, 13));
    case 34: return conv1x1(call, pointer(call, 0), pointer(call, 1), pointer(call, 2), pointer(call, 3), pointer(call, 4), integer(call, 5), integer(call, 6), integer(call, 7), integer(call, 8), integer(call, 9), pointer(call, 10), pointer(call, 11));
    case 35: return correlateParts(call, claimWorkspace(call, correlatePartsWorkspace(integer(call, 3), integer(call, 4), integer(call, 5), integer(call, 6), integer(call, 7), integer(call, 9), integer(call, 10), team)), pointer(call, 0), pointer(call, 1), integer(call, 2), integer(call, 3), integer(call, 4), integer(call, 5), integer(call, 6), integer(call, 7), integer(call, 8), integer(call, 9), integer(call, 10));
    case 36: return sumParts(call, claimWorkspace(call, sumPartsWorkspace(integer(call, 1), integer(call, 2), integer(call, 3))), pointer(call, 0), integer(call, 1), integer(call, 2), integer(call, 3));
    case 37: return indexOfMax(call, pointer(call, 0), pointer(call, 1), integer(call, 2), integer(call, 3), integer(call, 4), integer(call, 5), integer(call, 6), real(call, 7));
    case 38: return adamUpdate(call, pointer(call, 0), pointer(call, 1), pointer(call, 2), pointer(call, 3), pointer(call, 4), pointer(call, 5), integer(call, 6), integer(call, 7));
    case 39: return sgdUpdate(call, pointer(call, 0), pointer(call, 1), pointer(call, 2), pointer(call, 3), pointer(call, 4), integer(call, 5));
    case 40: return emaUpdate(call, pointer(call, 0), pointer(call, 1), pointer(call, 2), integer(call, 3));
    case 41: return permute(call, pointer(call, 0), pointer(call, 1), integer(call, 2), integer(call, 3), integer(call, 4), integer(call, 5), integer(call, 6), integer(call, 7), integer(call, 8), integer(call, 9), integer(call, 10), integer(call, 11), integer(call, 12), integer(call, 13), integer(call, 14), integer(call, 15), integer(call, 16), integer(call, 17), integer(call, 18));
    case 42: return randomUniform(call, pointer(call, 0), pointer(call, 1), integer(call, 2));
    case 43: return randomNormal(call, pointer(call, 0), pointer(call, 1), integer(call, 2));
    case 44: return randomNormalRows(call, pointer(call, 0), pointer(call, 1), pointer(call, 2), integer(call, 3), integer(call, 4));
    case 45: return sumChunks(call, pointer(call, 0), pointer(call, 1), integer(call, 2), integer(call, 3), integer(call, 4), integer(call, 5), integer(call, 6));
    case 46: return spreadChunks(call, pointer(call, 0), pointer(call, 1), integer(call, 2), integer(call, 3), integer(call, 4), integer(call, 5), integer(call, 6));
    case 47: return squaredErrors(call, pointer(call, 0), pointer(call, 1), pointer(call, 2), integer(call, 3), integer(call, 4), integer(call, 5));
    case 48: return squaredErrorsGradient(call, pointer(call, 0), pointer(call, 1), pointer(call, 2), pointer(call, 3), integer(call, 4), integer(call, 5), integer(call, 6));
    case 49: return softmax(call, pointer(call, 0), pointer(call, 1), integer(call, 2), integer(call, 3));
    case 50: return softmaxGradient(call, pointer(call, 0), pointer(call, 1), pointer(call, 2), integer(call, 3), integer(call, 4));
    case 51: return maxPool2d(call, pointer(call, 0), pointer(call, 1), integer(call, 2), integer(call, 3), integer(call, 4), integer(call, 5), integer(call, 6), integer(call, 7));
    case 52: return maxPool2dGradient(call, pointer(call, 0), pointer(call, 1), pointer(call, 2), integer(call, 3), integer(call, 4), integer(call, 5), integer(call, 6), integer(call, 7), integer(call, 8));
    case 53: return pickMaxima(call, pointer(call, 0), pointer(call, 1), pointer(call, 2), integer(call, 3), integer(call, 4), integer(call, 5), integer(call, 6), integer(call, 7), integer(call, 8));
    case 54: return resizeBilinear(call, pointer(call, 0), pointer(call, 1), integer(call, 2), integer(call, 3), integer(call, 4), integer(call, 5), integer(call, 6), integer(call, 7), integer(call, 8));
    case 55: return ternary(call, pointer(call, 0), pointer(call, 1), pointer(call, 2), pointer(call, 3), integer(call, 4), integer(call, 5), integer(call, 6), integer(call, 7), integer(call, 8), integer(call, 9), integer(call, 10), integer(call, 11), integer(call, 12), integer(call, 13), integer(call, 14), integer(call, 15), integer(call, 16), integer(call, 17), integer(call, 18), integer(call, 19), integer(call, 20));
    case 56: return transcendental(call, pointer(call, 0), pointer(call, 1), integer(call, 2), integer(call, 3), real(call, 4));
    case 57: return transcendentalGradient(call, pointer(call, 0), pointer(call, 1), pointer(call, 2), integer(call, 3), integer(call, 4));
    default: unreachable();
  }
}

/** Bytes of workspace that a call needs on a number of threads. */
export function workspaceOf(call: usize, threads: i32): u64 {
  switch (opcode(call)) {
    case 2: return winogradWeightsWorkspace(integer(call, 1), integer(call, 2), integer(call, 6));
    case 3: return winogradConvolveWorkspace(integer(call, 4), integer(call, 5), integer(call, 6), integer(call, 7), integer(call, 8), integer(call, 14), threads);
    case 4: return winogradGradientPartsWorkspace(integer(call, 2), integer(call, 3), integer(call, 4), integer(call, 5), integer(call, 6), integer(call, 7), integer(call, 8), integer(call, 10), threads);
    case 5: return winogradGradientSumWorkspace(integer(call, 1), integer(call, 2), integer(call, 3), integer(call, 4), integer(call, 5), threads);
    case 6: return convTranspose2dWorkspace(integer(call, 8), integer(call, 6), integer(call, 7), threads);
    case 7: return convTranspose2dInputGradientWorkspace(integer(call, 5), integer(call, 7), integer(call, 8), threads);
    case 8: return convolveWeightsWorkspace(integer(call, 1), integer(call, 2), integer(call, 3), axis(call, 7), axis(call, 16), threads);
    case 9: return convolveWorkspace(integer(call, 6), integer(call, 7), integer(call, 8), axis(call, 10), axis(call, 19), threads);
    case 10: return convolveGradientPartsWorkspace(integer(call, 3), integer(call, 4), integer(call, 5), integer(call, 6), integer(call, 8), axis(call, 9), axis(call, 18), threads);
    case 35: return correlatePartsWorkspace(integer(call, 3), integer(call, 4), integer(call, 5), integer(call, 6), integer(call, 7), integer(call, 9), integer(call, 10), threads);
    case 36: return sumPartsWorkspace(integer(call, 1), integer(call, 2), integer(call, 3));
    default: return 0;
  }
}
