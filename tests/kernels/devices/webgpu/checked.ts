/**
 * WebGPU devices with the default limits that notice what adapters may do in different ways: accesses outside of buffers,
 * and results that depend on the order of invocations. Their shaders are rewritten before the adapter compiles them.
 */

import assert from "node:assert/strict";
import { readBack } from "../../../../kernels/devices/webgpu/health.ts";
import { WebGpuDevice } from "../../../../kernels/devices/webgpu/webgpu_device.ts";

/**
 * A shader that notes writes outside of buffers, reads NaN there, runs invocations in another order, and whose exp and log
 * lose NaN, as on some GPUs.
 */
export function checkedShader(code: string, note: (what: string) => number): string {
  const wgsl = code.replaceAll(/\/\/.*/g, "");
  const buffers = [...wgsl.matchAll(/var<storage, (read|read_write)> (\w+): array<(\w+)>;/g)];
  const names = buffers.map(([, , name]) => name);
  // Those with more accesses, all for software adapters, would take minutes to compile.
  if ([...wgsl.matchAll(new RegExp(`\\b(${names.join("|")})\\[`, "g"))].length > 100) return code;
  const accessors = buffers.flatMap(([, access, name, type]) => {
    const outside = type === "u32" ? "0x7fc00000u" : `${type}(bitcast<f32>(max(0x7fc00000u, dims.runs)))`; // NaN
    const length = `length_${name}`, place = `${name}[min(i, ${length} - 1u)]`;
    return [
      `var<private> length_${name}: u32;`,
      `fn get_${name}(i: u32) -> ${type} { return select(${outside}, ${place}, i < ${length}); }`,
      ...access === "read" ? [] : [
        `fn put_${name}(i: u32) -> u32 { fault_ = select(${note(name)}u, fault_, i < ${length}); return i; }`,
      ],
    ];
  });
  const [, lanes] = /@workgroup_size\((\d+)\)/.exec(wgsl)!;
  assert.ok(
    bytesShared(wgsl) <= 2 ** 14,
    `${bytesShared(wgsl)} bytes of workgroup memory, by default at most 16384`,
  );
  const lengths = names.map((name) => `length_${name} = arrayLength(&${name});`).join(" ");
  const noted = "if (fault_ > 0u) { atomicMax(&faults_, fault_); }";
  const together = wgsl.includes("workgroupBarrier")
    ? `passed_[lane] = barriers_; workgroupBarrier(); if (passed_[0] != barriers_) { fault_ = ${note("")}u; }`
    : "";
  const functions = wgsl.split(/(?=^fn )/m).map((text) => {
    const [header] = /^fn [^)]*/.exec(text) ?? [""]; // whose parameters hide buffers
    const used = names.filter((name) => !RegExp(`\\b${name}:`).test(header));
    return rewritten(text, RegExp(`(?<![\\w.&])(${used.join("|")})\\[`));
  });
  const inOtherOrder = functions.join("").replaceAll(/\b(exp|log)\(/g, "$1_(")
    .replaceAll("workgroupBarrier();", "barriers_++; workgroupBarrier();")
    .replace("kernel(i);", `${lengths} kernel(dims.runs - 1u - i); ${noted}`)
    .replace(
      "kernel(group, lane);",
      `${lengths} kernel(dims.runs - 1u - group, (lane * 37u + 5u) % ${lanes}u); ${together} ${noted}`,
    );
  return `${inOtherOrder}
@group(1) @binding(0) var<storage, read_write> faults_: atomic<u32>;
var<private> fault_: u32;
var<private> barriers_: u32;
${together && `var<workgroup> passed_: array<u32, ${lanes}>;`}
fn lost_(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }
fn exp_(x: f32) -> f32 { return select(exp(x), 1.0, lost_(x)); }
fn log_(x: f32) -> f32 { return select(log(x), 0.0, lost_(x)); }
${accessors.join("\n")}`;
}

/** Bytes of workgroup memory, of arrays such as `array<array<vec4f, 9>, 16>`. */
function bytesShared(wgsl: string): number {
  return [...wgsl.matchAll(/var<workgroup> \w+: ([^;]*);/g)].reduce((sum, [, type]) => {
    const lengths = [...type.matchAll(/, (\w+)/g)].map(([, length]) =>
      parseInt(/^\d/.test(length) ? length : RegExp(`const ${length} = (\\d+)`).exec(wgsl)![1])
    );
    return sum +
      lengths.reduce((bytes, length) => bytes * length, 4 * Number(/vec(\d)/.exec(type)?.[1] ?? 1));
  }, 0);
}

function rewritten(wgsl: string, use: RegExp): string {
  const match = use.exec(wgsl);
  if (!match) return wgsl;
  const open = match.index + match[0].length, [, name] = match;
  let close = open;
  for (let depth = 1; depth > 0; close++) depth += wgsl[close] === "[" ? 1 : wgsl[close] === "]" ? -1 : 0;
  const index = `u32(${rewritten(wgsl.slice(open, close - 1), use)})`, after = wgsl.slice(close);
  const isStored = /^(\.\w+)?\s*([-+*/|&^]|<<|>>)?=(?!=)/.test(after);
  const element = isStored ? `${name}[put_${name}(${index})]` : `get_${name}(${index})`;
  return `${wgsl.slice(0, match.index)}${element}${rewritten(after, use)}`;
}

const assertions = new WeakMap<object, () => Promise<void>>();

/** Asserts that no kernel wrote outside of a buffer, if the device checks them. */
export const assertNoFaults = (device: object): Promise<void> | undefined => assertions.get(device)?.();

/** Makes a device check its shaders; returns the assertion that they had no faults. */
function watch(device: GPUDevice): () => Promise<void> {
  const { createCommandEncoder, createPipelineLayout, createShaderModule } = device;
  const { COPY_SRC, COPY_DST, STORAGE } = GPUBufferUsage;
  const buffer = device.createBuffer({ size: 4, usage: STORAGE | COPY_SRC | COPY_DST });
  const layout = device.createBindGroupLayout({
    entries: [{ binding: 0, visibility: GPUShaderStage.COMPUTE, buffer: { type: "storage" } }],
  });
  const group = device.createBindGroup({ layout, entries: [{ binding: 0, resource: { buffer } }] });
  const places = new Map([[0, ""]]);
  /** The same number in every run, so that the driver's cache of shaders holds. */
  const numberOf = (what: string) => {
    const hash = [...what].reduce((sum, letter) => 31 * sum + letter.charCodeAt(0) >>> 0, 7);
    places.set(hash, what);
    return hash;
  };
  Object.assign(device, {
    createShaderModule: ({ label, code }: GPUShaderModuleDescriptor) => {
      const note = (name: string) =>
        numberOf(name ? `${label} writes outside of ${name}` : `some lanes of ${label} skip a barrier`);
      return createShaderModule.call(device, { label: label!, code: checkedShader(code, note) });
    },
    createPipelineLayout: ({ bindGroupLayouts }: GPUPipelineLayoutDescriptor) =>
      createPipelineLayout.call(device, { bindGroupLayouts: [...bindGroupLayouts, layout] }),
    createCommandEncoder() {
      const encoder = createCommandEncoder.call(device), { beginComputePass } = encoder;
      return Object.assign(encoder, {
        beginComputePass() {
          const pass = beginComputePass.call(encoder);
          pass.setBindGroup(1, group);
          return pass;
        },
      });
    },
  });
  return async () => {
    const bytes = await readBack(device, 4, (to) => {
      const encoder = createCommandEncoder.call(device);
      encoder.copyBufferToBuffer(buffer, 0, to, 0, 4);
      encoder.clearBuffer(buffer, 0, 4);
      device.queue.submit([encoder.finish()]);
    });
    assert.equal(places.get(new Uint32Array(bytes)[0]), "");
  };
}

/** Opens a device that checks its shaders, with the kernels for software adapters or for GPUs. */
export async function openChecked(software?: boolean): Promise<WebGpuDevice> {
  const adapter = (await navigator.gpu.requestAdapter())!;
  let assertion!: () => Promise<void>;
  const requestDevice = async () => {
    // One storage buffer more than by default, to note faults.
    const device = await adapter.requestDevice({ requiredLimits: { maxStorageBuffersPerShaderStage: 9 } });
    assertion = watch(device);
    return device;
  };
  const { info, limits } = adapter, checking = { info, limits, features: new Set(), requestDevice };
  const gpu = { requestAdapter: () => Promise.resolve(checking) } as unknown as GPU;
  const device = await withGpu(gpu, () => WebGpuDevice.open({ ...software !== undefined && { software } }));
  assertions.set(device, assertion);
  return device;
}

/** Runs a function while `navigator.gpu` is replaced. */
export async function withGpu<T>(gpu: GPU, run: () => Promise<T>): Promise<T> {
  const real = Object.getOwnPropertyDescriptor(navigator, "gpu");
  Object.defineProperty(navigator, "gpu", { value: gpu, configurable: true });
  try {
    return await run();
  } finally {
    if (real) Object.defineProperty(navigator, "gpu", real);
    else delete (navigator as { gpu?: GPU }).gpu;
  }
}
