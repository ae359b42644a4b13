// The entry points: a program is a list of calls that all threads of the team run, with a barrier after each.

import { CALL_BYTES, opcode, rewind } from "./call.ts";
import { convolve, convWeights } from "./conv2d.ts";
import { convWeightGradientParts, convWeightGradientSum } from "./conv2d_gradient.ts";
import { convTranspose, convTransposeInputGradient } from "./conv_transpose.ts";
import {
  affine,
  binary,
  broadcast,
  copyRows,
  fill,
  gatherImages,
  put,
  unary,
  unaryGradient,
} from "./elementwise.ts";
import { groupNorm, groupNormGradient } from "./group_norm.ts";
import { correlateParts, matmul, mixChannels, sumParts } from "./matmul.ts";
import { adamUpdate, emaUpdate, sgdUpdate } from "./optimizer.ts";
import { randomNormal, randomUniform } from "./random.ts";
import {
  softmax,
  softmaxGradient,
  spreadChunks,
  squaredErrors,
  squaredErrorsGradient,
  sumChunks,
} from "./reduce.ts";
import { maxPool, maxPoolGradient, resizeBilinear } from "./resample.ts";
import { Opcode } from "./opcodes.ts";
import { barrier, CALLS, join, LEFT, me, nextProgram, PROGRAM, READY, setTeam, START, TEAM } from "./team.ts";

function execute(call: usize): void {
  switch (opcode(call)) {
    case Opcode.convWeights:
      return convWeights(call);
    case Opcode.convolve:
      return convolve(call);
    case Opcode.convWeightGradientParts:
      return convWeightGradientParts(call);
    case Opcode.convWeightGradientSum:
      return convWeightGradientSum(call);
    case Opcode.matmul:
      return matmul(call);
    case Opcode.mixChannels:
      return mixChannels(call);
    case Opcode.convTranspose:
      return convTranspose(call);
    case Opcode.convTransposeInputGradient:
      return convTransposeInputGradient(call);
    case Opcode.correlateParts:
      return correlateParts(call);
    case Opcode.sumParts:
      return sumParts(call);
    case Opcode.groupNorm:
      return groupNorm(call);
    case Opcode.groupNormGradient:
      return groupNormGradient(call);
    case Opcode.unary:
      return unary(call);
    case Opcode.unaryGradient:
      return unaryGradient(call);
    case Opcode.binary:
      return binary(call);
    case Opcode.broadcast:
      return broadcast(call);
    case Opcode.affine:
      return affine(call);
    case Opcode.fill:
      return fill(call);
    case Opcode.put:
      return put(call);
    case Opcode.copyRows:
      return copyRows(call);
    case Opcode.gatherImages:
      return gatherImages(call);
    case Opcode.sumChunks:
      return sumChunks(call);
    case Opcode.spreadChunks:
      return spreadChunks(call);
    case Opcode.squaredErrors:
      return squaredErrors(call);
    case Opcode.squaredErrorsGradient:
      return squaredErrorsGradient(call);
    case Opcode.softmax:
      return softmax(call);
    case Opcode.softmaxGradient:
      return softmaxGradient(call);
    case Opcode.maxPool:
      return maxPool(call);
    case Opcode.maxPoolGradient:
      return maxPoolGradient(call);
    case Opcode.resizeBilinear:
      return resizeBilinear(call);
    case Opcode.randomUniform:
      return randomUniform(call);
    case Opcode.randomNormal:
      return randomNormal(call);
    case Opcode.adamUpdate:
      return adamUpdate(call);
    case Opcode.sgdUpdate:
      return sgdUpdate(call);
    case Opcode.emaUpdate:
      return emaUpdate(call);
    default:
      unreachable();
  }
}

/** Runs this thread's share of a program; false if another thread has failed. */
function share(program: usize, calls: i32): bool {
  const end = program + (<usize> calls) * CALL_BYTES;
  for (let call = program; call < end; call += CALL_BYTES) {
    execute(call);
    if (!barrier()) return false;
    if (me == 0) rewind(call);
  }
  return true;
}

/** Runs a program on this thread alone. */
export function runAlone(program: usize, calls: i32): void {
  setTeam(1);
  share(program, calls);
}

/** Runs a program with all workers; false if one has failed. */
export function runTogether(program: usize, calls: i32, threads: i32): bool {
  setTeam(threads);
  store<usize>(PROGRAM, program);
  store<i32>(CALLS, calls);
  store<i32>(TEAM, threads);
  atomic.add<i32>(START, 1);
  atomic.notify(START, -1);
  return share(program, calls);
}

/** The life of a worker: programs, one after the other. */
export function work(thread: i32): void {
  join(thread);
  let seen = atomic.load<i32>(START);
  atomic.add<i32>(READY, 1);
  for (seen = nextProgram(seen); seen >= 0; seen = nextProgram(seen)) {
    setTeam(load<i32>(TEAM));
    share(load<usize>(PROGRAM), load<i32>(CALLS));
  }
  atomic.add<i32>(LEFT, 1);
}
