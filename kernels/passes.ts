import type { Kernel, Pass, PassBuffer } from "./devices/device.ts";
import type { CallPlan } from "./op.ts";
import { type Shape, sizeOf } from "./core/shape.ts";

/** A buffer and its shape, as passes hand it on. */
interface PassValue {
  readonly buffer: PassBuffer;
  readonly shape: Shape;
}

/** What passes need of an op. */
interface PlannedOp {
  readonly kernel: Kernel;
  readonly plan: (shapes: readonly Shape[], attributes: Readonly<Record<string, number>>) => CallPlan;
}

/** Writes down the calls of other ops that together do the work of one. */
export class Passes {
  readonly #passes: Pass[] = [];
  readonly #scratches: number[] = [];

  /**
   * The calls. Scratch memory is numbered from the largest on, so that what ops share is not larger than it need be.
   */
  get list(): readonly Pass[] {
    const order = [...this.#scratches.keys()].sort((a, b) => this.#scratches[b] - this.#scratches[a]);
    const numbered = (buffer: PassBuffer): PassBuffer =>
      typeof buffer === "string" ? buffer : { ...buffer, scratch: order.indexOf(buffer.scratch) };
    return this.#passes.map((pass) => ({ ...pass, buffers: pass.buffers.map(numbered) }));
  }

  /** A buffer of the op whose work it is, by name. */
  buffer(name: string, shape: Shape): PassValue {
    return { buffer: name, shape };
  }

  /**
   * Adds a call of an op with a single output.
   *
   * @param into the buffer of the op whose work it is that gets the output; by default, scratch memory does
   */
  run(
    { kernel, plan }: PlannedOp,
    inputs: readonly PassValue[],
    attributes: Readonly<Record<string, number>>,
    into?: string,
  ): PassValue {
    const { dims, outputs: [shape] } = plan(inputs.map((input) => input.shape), attributes);
    const buffer = into ?? { scratch: this.#scratches.push(sizeOf(shape)) - 1, elements: sizeOf(shape) };
    this.#passes.push({ kernel, dims, buffers: [...inputs.map((input) => input.buffer), buffer] });
    return { buffer, shape };
  }
}
