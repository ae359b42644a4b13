/** The shaders of a training step of every network, for compilers that need no card. */

import { ImageSource } from "../../../../../experiments/data/image_source.ts";
import { configOf } from "../../../../experiments/config_of.ts";
import { makeNetwork } from "../../../../../experiments/training/network.ts";
import type { Device, KernelCall } from "../../../../../kernels/devices/device.ts";
import { callOfPass } from "../../../../../kernels/devices/webgpu/workspace.ts";
import { nameOfCall, shaderOf } from "../../../../../kernels/devices/webgpu/pipelines.ts";
import { withDevice } from "../../../../../kernels/mod.ts";
import { blankInitialiser } from "../../../../../models/mod.ts";
import { type RegisteredOp, registry } from "../../../../../kernels/op.ts";

/** A shader, and the entry point by which compilers report it: `k<N>_<label>`, or with `h` or `c`. */
export interface Shader {
  readonly entry: string;
  readonly code: string;
}

/** A kernel with more values at once than registers hold: it indexes them, as no register can be. */
const spilling = `@group(0) @binding(0) var<storage, read_write> y: array<vec4f>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  var values: array<vec4f, 80>;
  for (var i = 0u; i < 80u; i++) { values[i] = y[i]; }
  workgroupBarrier();
  for (var i = 0u; i < 80u; i++) { y[i] = values[(i * id.x) % 80u]; }
}`;

/** The names of the variants that can run an op's samples, without the default. */
function candidatesOf({ inputs, samples, plan, kernel }: RegisteredOp, { tuning }: Pick<Device, "tuning">) {
  return new Set(samples.flatMap(({ shapes, attributes = {} }) => {
    const { dims } = plan(inputs.map(({ name }) => shapes[name]), attributes);
    return kernel.candidates?.(dims, tuning).slice(1) ?? [];
  }));
}

const tuning = { workgroupSize: 64, software: false, pieces: 512 };

/** A GPU that notes its calls in `calls`, and runs none. */
function notingDevice(calls: KernelCall[]): Device {
  return {
    ...{ kind: "webgpu", description: "notes calls", tuning, halfStorage: true, offsetAlignment: 64 },
    ...{ maxRangeBytes: 2 ** 31, maxBytes: Infinity, allocatedBytes: 0 },
    allocate: (bytes) => ({ bytes }),
    release() {},
    write() {},
    read: ({ length }) => Promise.resolve(new ArrayBuffer(length * 4)),
    run: (call) => void calls.push(call),
    prepare: (all) => () => void calls.push(...all),
    finished: () => Promise.resolve(),
    close() {},
  };
}

type Sizes = readonly [filters: readonly number[], batchSize: number];
const small: Sizes = [[16, 32, 64], 64];

/** The calls of a step of both networks, those of the same sizes once. */
async function callsOf([filters, N]: Sizes, precision: "f32" | "f16" = "f32"): Promise<KernelCall[]> {
  const calls: KernelCall[] = [];
  await withDevice(notingDevice(calls), () => {
    for (const model of ["residual", "base"] as const) {
      const config = configOf({ model, filters: [...filters], batchSize: N, precision });
      const pixels = new Uint8Array(N * 784), shape = { channels: 1, height: 28, width: 28 };
      const source = new ImageSource(pixels, shape, { scale: 2, shift: -1 });
      const { trainer } = makeNetwork(config, source, blankInitialiser);
      trainer.queueStep(Uint32Array.from({ length: N }, (_, i) => i), 1e-4);
    }
  });
  return [...new Map(calls.map((call) => [nameOfCall(call), call])).values()];
}

/**
 * Every different shader of a step once: `k` those of default kernels in f32, `h` in f16, `c` those of all candidates; at
 * last one that must spill.
 */
export async function trainingShaders(): Promise<readonly Shader[]> {
  const shaders = new Map<string, Shader>();
  const add = (initial: string, label: string, code: string) => {
    if (shaders.has(code)) return;
    const entry = `${initial}${shaders.size}_${label}`;
    shaders.set(code, { entry, code: code.replace("fn main(", `fn ${entry}(`) });
  };
  const addCalls = (initial: string, calls: readonly KernelCall[], candidate?: string) => {
    const chosen = { ...tuning, ...candidate !== undefined && { candidate } };
    for (const call of calls) {
      const passes = call.kernel.passes?.(call.dims, chosen);
      const parts = passes?.map((pass) => callOfPass(pass, call, () => ({ bytes: 0 }))) ?? [call];
      for (const part of parts) add(initial, part.kernel.name, shaderOf(part, chosen));
    }
  };
  const smallCalls = await callsOf(small);
  addCalls("k", await callsOf([[64, 128, 256], 256]));
  addCalls("k", smallCalls);
  addCalls("h", await callsOf(small, "f16"));
  const names = new Set([...registry.values()].flatMap((op) => [...candidatesOf(op, notingDevice([]))]));
  for (const candidate of names) addCalls("c", smallCalls, candidate);
  add("c", "spilling", spilling);
  return [...shaders.values()];
}
