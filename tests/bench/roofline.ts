import { textTable } from "../../experiments/cli/output.ts";
import { type Bounds, measureBounds } from "./bounds.ts";
import type { Device } from "../../kernels/mod.ts";
import { type Case, nameOf, training } from "./networks.ts";
import type { Reporter } from "./report.ts";
import { none, type OpTotal, plus, sharesOf } from "./shares.ts";
import { timeRuns } from "./timing.ts";

/** Prints what the device can do, and returns it. */
export async function reportBounds(device: Device, reporter: Reporter): Promise<Bounds> {
  const bounds = await measureBounds(device);
  reporter.fact("bound: bytes read and written by a copy", bounds.bytesPerSecond / 1e9, "GB/s");
  reporter.fact("bound: a product of large matrices", 2 * bounds.multiplyAddsPerSecond / 1e9, "GFLOP/s");
  return bounds;
}

/** Prints for each op of a training step its time, its bytes and arithmetic, and its share of the device's bounds. */
export async function reportRoofline(
  device: Device,
  c: Case,
  bounds: Bounds,
  reporter: Reporter,
): Promise<void> {
  const { step } = training(c);
  const shares = await sharesOf(device, step, 1, bounds);
  const total = await timeRuns(device, `train ${nameOf(c)}`, c.batchSize, "images/s", step);
  const all = shares.reduce<OpTotal>(plus, { ...none, name: "all ops, timed separately" });
  const rows = [...shares, all, { ...all, name: "the step", milliseconds: total.milliseconds }];
  for (const row of rows) {
    const name = `roofline of ${total.name}: ${row.name}`;
    reporter.keep([
      [`${name}, time`, row.milliseconds, "ms"],
      [`${name}, bound`, row.boundMs, "ms"],
    ]);
  }
  reporter.note(`\n${total.name}`);
  reporter.note(tableOf(rows));
}

/** A table of ops: time, bytes, arithmetic, and the share of what the bounds allow. */
export function tableOf(rows: readonly OpTotal[]): string {
  const heading = ["op", "calls", "ms", "MB", "GB/s", "GFLOP", "GFLOP/s", "of bound"];
  const cells = rows.map(({ name, calls, milliseconds, bytes, multiplyAdds, boundMs }) => {
    const perMs = (amount: number) => (amount / milliseconds / 1e6).toFixed(1);
    const flop = 2 * multiplyAdds;
    return [
      name,
      `${calls}`,
      milliseconds.toFixed(3),
      (bytes / 1e6).toFixed(2),
      perMs(bytes),
      flop > 0 ? (flop / 1e9).toFixed(3) : "",
      flop > 0 ? perMs(flop) : "",
      `${(100 * boundMs / milliseconds).toFixed(0)} %`,
    ];
  });
  return textTable([heading, ...cells], (column) => column > 0, 120);
}
