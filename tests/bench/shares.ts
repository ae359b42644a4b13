import type { Device, KernelCall } from "../../kernels/devices/device.ts";
import type { Bounds } from "./bounds.ts";
import { queued, timeInTurn } from "./timing.ts";

/** The cost of all calls of an op in a step. */
export interface OpTotal {
  readonly name: string;
  readonly calls: number;
  readonly milliseconds: number;
  /** Bytes of the arrays that the calls read and write; too many for ops that touch a part of one, such as `slice`. */
  readonly bytes: number;
  /** Multiply-adds of products; 0 for ops that are not made of products. */
  readonly multiplyAdds: number;
  /** Milliseconds by the bounds of the device: for each call, the longer of moving its bytes and its multiply-adds. */
  readonly boundMs: number;
}

/** Share of an op in a step, over all its calls. */
export interface Share extends OpTotal {
  /** Share of the total time of all ops, in [0, 1]. */
  readonly share: number;
}

/** A device without limits. */
const unbounded: Bounds = { bytesPerSecond: Infinity, multiplyAddsPerSecond: Infinity };

/**
 * Measures how a recorded step divides its time. Calls of one op on equal shapes are timed together, separately from
 * all others, many times. They run on zeros in separate memory, because leftover values of a step could change the path
 * that an op takes.
 *
 * @param step queues the step; its first call records it
 * @param bounds what the device can do, if known
 * @returns the ops, longest first
 */
export async function sharesOf(
  device: Device,
  step: () => void,
  repetitions?: number,
  bounds: Bounds = unbounded,
): Promise<Share[]> {
  let calls: readonly KernelCall[] = [];
  const prepare = device.prepare.bind(device);
  device.prepare = (all) => prepare(calls = all);
  step();
  device.prepare = prepare;
  const alike = Map.groupBy(calls, ({ kernel, dims }) => `${kernel.name} ${JSON.stringify(dims)}`);
  const totals = new Map<string, OpTotal>();
  for (const group of alike.values()) {
    const own = group.map((call) => onZeros(device, call));
    const work = queued(device, "", 1, "steps/s", prepare(own));
    const [{ milliseconds }] = await timeInTurn([work], repetitions);
    for (const { buffer } of own.flatMap(({ ranges }) => ranges)) device.release(buffer);
    const costs = group.map((call) => costOf(call, bounds));
    const { name } = group[0].kernel;
    totals.set(
      name,
      [...costs, { ...none, milliseconds }].reduce(plus, totals.get(name) ?? { ...none, name }),
    );
  }
  const sum = totals.values().reduce((all, { milliseconds }) => all + milliseconds, 0);
  return Array.from(totals.values(), (total) => ({ ...total, share: total.milliseconds / sum }))
    .sort((a, b) => b.share - a.share);
}

/** Shortest time of a call. */
function costOf({ kernel, ranges, dims }: KernelCall, bounds: Bounds): OpTotal {
  const touched = kernel.ports.map(({ writable, reads }, i) =>
    ranges[i].length * (Number(writable) + Number(reads))
  );
  const bytes = 4 * touched.reduce((sum, elements) => sum + elements, 0);
  const multiplyAdds = kernel.multiplyAdds?.(dims) ?? 0;
  const seconds = Math.max(bytes / bounds.bytesPerSecond, multiplyAdds / bounds.multiplyAddsPerSecond);
  return { name: kernel.name, calls: 1, milliseconds: 0, bytes, multiplyAdds, boundMs: 1000 * seconds };
}

/** The total of no calls. */
export const none: OpTotal = { name: "", calls: 0, milliseconds: 0, bytes: 0, multiplyAdds: 0, boundMs: 0 };

/** The total of both, by the name of the first. */
export function plus(a: OpTotal, b: OpTotal): OpTotal {
  return {
    name: a.name,
    calls: a.calls + b.calls,
    milliseconds: a.milliseconds + b.milliseconds,
    bytes: a.bytes + b.bytes,
    multiplyAdds: a.multiplyAdds + b.multiplyAdds,
    boundMs: a.boundMs + b.boundMs,
  };
}

/** The same call on zeros. */
function onZeros(device: Device, call: KernelCall): KernelCall {
  const ranges = call.ranges.map(({ length }) => {
    const range = { buffer: device.allocate(4 * length), offset: 0, length };
    device.write(range, new Float32Array(length));
    return range;
  });
  return { ...call, ranges };
}
