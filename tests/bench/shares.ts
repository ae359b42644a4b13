import type { Device, KernelCall } from "../../kernels/devices/device.ts";
import { queued, timeInTurn } from "./timing.ts";

/** Share of an op in a step, over all its calls. */
export interface Share {
  readonly name: string;
  readonly calls: number;
  readonly milliseconds: number;
  /** Share of the total time of all ops, in [0, 1]. */
  readonly share: number;
}

/**
 * Measures how a recorded step divides its time. Calls of one op on equal shapes are timed together, apart from all
 * others, many times. They run on zeros in separate memory, because leftover values of a step could change the path
 * that an op takes.
 *
 * @param step queues the step; its first call records it
 * @returns the ops, longest first
 */
export async function sharesOf(device: Device, step: () => void, repetitions?: number): Promise<Share[]> {
  let calls: readonly KernelCall[] = [];
  const prepare = device.prepare.bind(device);
  device.prepare = (all) => prepare(calls = all);
  step();
  device.prepare = prepare;
  const alike = Map.groupBy(calls, ({ kernel, dims }) => `${kernel.name} ${JSON.stringify(dims)}`);
  const totals = new Map<string, { calls: number; milliseconds: number }>();
  for (const group of alike.values()) {
    const own = group.map((call) => onZeros(device, call));
    const work = queued(device, "", 1, "steps/s", prepare(own));
    const [{ milliseconds }] = await timeInTurn([work], repetitions);
    for (const { buffer } of own.flatMap(({ ranges }) => ranges)) device.release(buffer);
    const { name } = group[0].kernel;
    const total = totals.get(name) ?? { calls: 0, milliseconds: 0 };
    totals.set(name, { calls: total.calls + group.length, milliseconds: total.milliseconds + milliseconds });
  }
  const sum = totals.values().reduce((all, { milliseconds }) => all + milliseconds, 0);
  return Array.from(totals, ([name, total]) => ({ name, ...total, share: total.milliseconds / sum }))
    .sort((a, b) => b.share - a.share);
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
