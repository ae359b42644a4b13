import assert from "node:assert/strict";
import "../../../kernels/mod.ts";
import type { BufferRange, Device } from "../../../kernels/devices/device.ts";
import { halfWgsl } from "../../../kernels/devices/webgpu/pipelines.ts";
import { type RegisteredOp, registry } from "../../../kernels/op.ts";
import type { Sample } from "../../../kernels/op_definition.ts";
import { assertClose } from "../../testing.ts";
import { testOnWebGpu } from "../devices/webgpu/tuning.ts";
import { inputsOf, oracle } from "../op_reference.ts";

Deno.test("halfWgsl() reads f16 as f32 and stores f32 as f16 in the named buffers", () => {
  const half = (wgsl: string) => halfWgsl(wgsl, ["x", "y"]);
  assert.equal(half("y[i] = x[i] + w[i];"), "y[i] = f16( f32(x[i]) + w[i]);");
  assert.equal(half("y[i] += x[at[i] + 1u];"), "y[i] = f16(f32(y[i]) + ( f32(x[at[i] + 1u])));");
  assert.equal(
    half("if (x[i] == y[j]) { dx[i] = xy.x[0]; }"),
    "if (f32(x[i]) == f32(y[j])) { dx[i] = xy.x[0]; }",
  );
  assert.equal(
    half("let v = select(0.0, x[b + x[0]], in);"),
    "let v = select(0.0, f32(x[b + f32(x[0])]), in);",
  );
  assert.equal(half("// x[n] = 1\ny[0] = f(a[1], x[1]);"), "\ny[0] = f16( f(a[1], f32(x[1])));");
  assert.equal(halfWgsl("y[i] = x[i];", []), "y[i] = x[i];");
  assert.equal(halfWgsl("y[i] = 2.0 * x[i];", ["x", "y"], ["y"]), "y[i] = vec4h( 2.0 * f32(x[i]));");
});

/** Numbers that f16 represents exactly, packed two to a word. */
function packed(values: ArrayLike<number>): Uint32Array<ArrayBuffer> {
  const halves = new Float16Array(Math.ceil(values.length / 2) * 2);
  halves.set(Array.from(values));
  return new Uint32Array(halves.buffer);
}

function upload(device: Device, values: ArrayLike<number>, half: boolean): BufferRange {
  const data = half
    ? packed(values)
    : values instanceof Uint32Array
    ? values
    : Float32Array.from(Array.from(values));
  const range = { buffer: device.allocate(Math.max(data.byteLength, 4)), offset: 0, length: data.length };
  device.write(range, data);
  return range;
}

/** Runs an op with its inputs and its first output in f16, as a recorded step does; returns its outputs by name. */
async function runInHalf(
  device: Device,
  op: RegisteredOp,
  { shapes, attributes = {} }: Sample,
  arrays: Record<string, ArrayLike<number>>,
): Promise<Record<string, ArrayLike<number>>> {
  const { ports } = op.kernel;
  const half = ports.filter(({ name, type }) => type === "f32" && isHalf(op, name)).map(({ name }) => name);
  const { dims } = op.plan(op.inputs.map(({ name }) => shapes[name]), attributes);
  const ranges = ports.map(({ name }) => upload(device, arrays[name], half.includes(name)));
  device.run({ kernel: op.kernel, ranges, dims, half });
  const outputs: Record<string, ArrayLike<number>> = {};
  for (const { name, type } of op.outputs) {
    const bytes = await device.read(ranges[ports.findIndex((port) => port.name === name)]);
    const { length } = arrays[name];
    outputs[name] = half.includes(name)
      ? new Float16Array(bytes).subarray(0, length)
      : type === "u32"
      ? new Uint32Array(bytes)
      : new Float32Array(bytes);
  }
  return outputs;
}

const isHalf = (op: RegisteredOp, name: string) =>
  op.outputs[0].name === name || !op.outputs.some((port) => port.name === name);

for (const op of registry.values()) {
  const updates = op.outputs.some(({ name }) => op.inputs.some((input) => input.name === name));
  if (updates) continue; // parameters, moments and logs are never in f16
  const [sample] = op.samples; // its results fit f16
  if (!sample) continue;
  testOnWebGpu(`${op.name}() equals its f64 reference on f16 storage`, async (device) => {
    if (!device.halfStorage) return;
    const inputs = inputsOf(op, sample).map((values) =>
      values instanceof Uint32Array ? values : Float64Array.from(new Float16Array(values))
    );
    const expected = oracle(op, sample, inputs);
    const start = Object.entries(expected).map(([name, { length }]) => [name, new Float64Array(length)]);
    const inputArrays = op.inputs.map(({ name }, i) => [name, inputs[i]]);
    const actual = await runInHalf(device, op, sample, Object.fromEntries([...start, ...inputArrays]));
    for (const { name } of op.outputs) assertClose(actual[name], expected[name], 1e-3, name);
  });
}
