import { WebGpuDevice } from "../../kernels/devices/webgpu/webgpu_device.ts";
import { type Device, DeviceError, withDevice } from "../../kernels/mod.ts";
import { type RegisteredOp, registry } from "../../kernels/op.ts";
import type { Sample } from "../../kernels/op_definition.ts";
import { inputsOf, oracle, outputsOf, tensorsOf } from "../../kernels/oracle.ts";

/** The comparison of an op on WebGPU with its plain reference in f64. */
export interface Compared {
  readonly op: string;
  /** The kernel variant, if not the default; see `withVariants`. */
  readonly candidate?: string;
  /**
   * Largest difference on its samples, relative to the largest value if that is above 1; null if a value is finite on
   * only one side.
   */
  readonly error?: number | null;
  /** Why it did not run. */
  readonly failure?: string;
}

/** The failure of a variant that was skipped. */
export const noTime = "not tested: no time";

/** Seconds after which no further variants are tested; all defaults are. */
const maxSeconds = 60;

/**
 * Compares every op on the WebGPU adapter with its reference: first the default kernel, then its variants.
 *
 * @param begin called before each test, because a lost device may end the program
 * @param seconds the time limit for variants; those that are skipped have the failure `noTime`
 * @throws {DeviceError} if no device can be opened, or it is lost
 */
export async function* selfTest(
  begin: (what: Compared) => void,
  seconds: number = maxSeconds,
): AsyncGenerator<Compared> {
  const endMs = performance.now() + 1000 * seconds;
  const ops = [...registry.values()].filter(({ samples }) => samples.length > 0);
  const ways = new Map<string | undefined, RegisteredOp[]>([[undefined, ops]]);
  for (const [candidate, ops] of ways) {
    const device = await WebGpuDevice.open(candidate === undefined ? {} : { candidate });
    if (candidate === undefined) {
      for (const op of ops) {
        for (const name of candidatesOf(op, device)) ways.set(name, [...ways.get(name) ?? [], op]);
      }
    }
    for (const op of ops) {
      const what = { op: op.name, ...candidate !== undefined && { candidate } };
      begin(what);
      if (candidate !== undefined && performance.now() > endMs) yield { ...what, failure: noTime };
      else yield { ...what, ...await resultOf(op, device) };
    }
    device.close();
  }
}

/** The names of the variants that can run an op's samples, without the default. */
export function candidatesOf(
  { inputs, samples, plan, kernel }: RegisteredOp,
  { tuning }: Device,
): Set<string> {
  return new Set(samples.flatMap(({ shapes, attributes = {} }) => {
    const { dims } = plan(inputs.map(({ name }) => shapes[name]), attributes);
    return kernel.candidates?.(dims, tuning).slice(1) ?? [];
  }));
}

async function resultOf(op: RegisteredOp, device: Device): Promise<Pick<Compared, "error" | "failure">> {
  try {
    const errors: number[] = [];
    for (const sample of op.samples) errors.push(await errorOn(op, sample, device));
    const error = Math.max(...errors);
    return { error: Number.isFinite(error) ? error : null };
  } catch (error) {
    if (!(error instanceof DeviceError) || error.isLost) throw error;
    return { failure: error.message };
  }
}

/** The largest relative difference in a sample's outputs and in the inputs that the op updates. */
function errorOn(op: RegisteredOp, sample: Sample, device: Device): Promise<number> {
  return withDevice(device, async () => {
    const inputs = inputsOf(op, sample), expected = oracle(op, sample, inputs);
    const outputs = outputsOf(op, tensorsOf(op, sample, inputs), sample.attributes);
    const errors = outputs.map(async ([name, y]) => differenceOf(await y.read(), expected[name]));
    return Math.max(...await Promise.all(errors));
  });
}

/** The largest difference, relative to the largest expected value if that is above 1; Infinity if one is not finite. */
function differenceOf(found: ArrayLike<number>, expected: Float64Array | Uint32Array): number {
  let largest = 0, size = 1;
  expected.forEach((value: number, i: number) => {
    if (Number.isFinite(value)) size = Math.max(size, Math.abs(value));
    if (Number.isFinite(value) !== Number.isFinite(found[i])) largest = Infinity;
    else if (Number.isFinite(value)) largest = Math.max(largest, Math.abs(value - found[i]));
  });
  return largest / size;
}
