import { WebGpuDevice } from "../../kernels/devices/webgpu/webgpu_device.ts";
import { sizeOf } from "../../kernels/core/shape.ts";
import { type Device, DeviceError, tensor, uniforms, withDevice } from "../../kernels/mod.ts";
import { type RegisteredOp, registry } from "../../kernels/op.ts";
import type { Sample } from "../../kernels/op_definition.ts";

/** How an op on WebGPU compares with its plain reference in f64. */
export interface Compared {
  readonly op: string;
  /** The way to run it, if not the usual one; see `withVariants`. */
  readonly candidate?: string;
  /**
   * Largest difference on its samples, relative to the largest value if that is above 1; null if a value is finite on
   * one side alone.
   */
  readonly error?: number | null;
  /** Why it did not run. */
  readonly failure?: string;
}

/** The failure of a way that was left out. */
export const noTime = "not tested: no time";

/** Seconds after which no other way to run an op is begun; the usual ones all run. */
const maxSeconds = 60;

/**
 * Compares every op on the WebGPU adapter with its reference, first as it usually runs, then in its other ways.
 *
 * @param begin called before each, since a device that is lost may take the program with it
 * @param seconds for the other ways; those that are left have the failure `noTime`
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

/** The names of the ways to run an op's samples, without the usual ones. */
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

/** The largest relative difference of a sample's outputs, and of the inputs that the op updates. */
function errorOn(
  op: RegisteredOp,
  { shapes, attributes = {}, values }: Sample,
  device: Device,
): Promise<number> {
  return withDevice(device, async () => {
    const inputs = op.inputs.map(({ name, type }, i) => {
      if (type === "u32") return Uint32Array.from(values![name]);
      const count = sizeOf(shapes[name]);
      return Float32Array.from(values?.[name] ?? uniforms(7, i + 1, 0, count).map((u) => 4 * u - 2));
    });
    const tensors = op.inputs.map(({ name }, i) => tensor(inputs[i], shapes[name]));
    const { dims, outputs } = op.plan(tensors.map(({ shape }) => shape), attributes);
    const arrays: Record<string, Float64Array | Uint32Array> = {};
    inputs.forEach((input, i) =>
      arrays[op.inputs[i].name] = input instanceof Uint32Array ? input : Float64Array.from(input)
    );
    const fresh = op.outputs.filter(({ name }) => !(name in arrays));
    fresh.forEach(({ name }, i) => arrays[name] = new Float64Array(sizeOf(outputs[i])));
    op.kernel.reference(arrays, dims);
    const made = op.run(tensors, attributes);
    const errors = op.outputs.map(async ({ name }) => {
      const at = fresh.findIndex((output) => output.name === name);
      const found = at >= 0 ? made[at] : tensors[op.inputs.findIndex((input) => input.name === name)];
      return differenceOf(await found.read(), arrays[name]);
    });
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
