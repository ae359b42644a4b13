import assert from "node:assert/strict";
import type { Kernel, KernelCall } from "../../../kernels/mod.ts";
import { type BufferPool, GpuBuffer, Workspace } from "../../../kernels/devices/webgpu/workspace.ts";
import { Choices } from "../../../kernels/devices/webgpu/choices.ts";

/** A pool that counts the bytes taken and not given back. */
function countingPool() {
  const held = new Set<GpuBuffer>();
  const take = (bytes: number) => {
    const buffer = new GpuBuffer({} as GPUBuffer, bytes);
    held.add(buffer);
    return buffer;
  };
  const give = (buffer: GpuBuffer) => void held.delete(buffer);
  const bytes = () => [...held].reduce((sum, { bytes }) => sum + bytes, 0);
  return { pool: { take, give } as unknown as BufferPool, bytes };
}

const ports = (...names: string[]) => names.map((name) => ({ name })) as unknown as Kernel["ports"];
const inner = { name: "inner", ports: ports("a", "b") } as Kernel;
const outer = {
  name: "outer",
  ports: ports("x", "y"),
  passes: ({ elements }) => [
    { kernel: inner, dims: {}, buffers: ["x", { scratch: 0, elements }] },
    { kernel: inner, dims: {}, buffers: [{ scratch: 0, elements }, "y"] },
  ],
} as Partial<Kernel> as Kernel;

const call = (elements: number): KernelCall => {
  const range = { buffer: { bytes: 8 }, offset: 0, length: 2 };
  return { kernel: outer, dims: { elements }, ranges: [range, { ...range, offset: 64 }], half: ["y"] };
};

const table = { workgroupSize: 64, software: true, pieces: 1 };

Deno.test("Workspace.expand() puts passes in the place of calls, on the same scratch memory", () => {
  const { pool, bytes } = countingPool();
  const workspace = new Workspace(pool, new Choices(table), 1000);
  const [first, second, third] = workspace.expand([call(10), call(7)]);
  assert.equal(first.kernel, inner);
  assert.equal(first.ranges[0].offset, 0);
  assert.equal(first.ranges[1].length, 10);
  assert.equal(second.ranges[0].buffer, first.ranges[1].buffer);
  assert.equal(second.ranges[1].offset, 64);
  assert.deepEqual([first.half, second.half], [[], ["b"]]);
  assert.equal(third.ranges[1].buffer, first.ranges[1].buffer);
  assert.equal(bytes(), 40);
});

Deno.test("Workspace.version changes when scratch memory grows, and the smaller buffer is given back", () => {
  const { pool, bytes } = countingPool();
  const workspace = new Workspace(pool, new Choices(table), 1000);
  workspace.expand([call(10)]);
  const before = workspace.version;
  workspace.expand([call(5)]);
  assert.equal(workspace.version, before);
  workspace.expand([call(11)]);
  assert.notEqual(workspace.version, before);
  assert.equal(bytes(), 44);
});

Deno.test("Workspace.expand() leaves calls whose scratch memory no kernel could bind", () => {
  const { pool, bytes } = countingPool();
  const large = call(251);
  assert.deepEqual(new Workspace(pool, new Choices(table), 1000).expand([large]), [large]);
  assert.equal(bytes(), 0);
});
