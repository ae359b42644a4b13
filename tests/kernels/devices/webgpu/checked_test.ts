import assert from "node:assert/strict";
import { execute, registry } from "../../../../kernels/op.ts";
import { type Tensor, tensor, zeros } from "../../../../kernels/mod.ts";
import { hiddenOp } from "../../oracle.ts";
import { assertClose, testOnWebGpu } from "../../../testing.ts";
import { onNewDevice } from "./new_device.ts";

const values = Float32Array.from({ length: 128 }, (_, i) => i + 1);

/** Copies x by the given WGSL, one invocation per value or in workgroups of 64. */
async function copy(wgsl: string, inWorkgroups: boolean): Promise<void> {
  const op = hiddenOp({
    name: "copyForTest",
    signature: "x[n] -> y[n]",
    wgsl,
    ...inWorkgroups && { workgroups: ({ n }: { readonly n?: number }) => ({ count: n! / 64, lanes: 64 }) },
    reference: ({ x, y }) => y.set(x),
    samples: [],
  });
  assertClose(await op(tensor(values)).read(), values, 0);
}

/** A product of matrices whose kernel lacks one of its barriers. */
async function productWithout(lost: number): Promise<void> {
  const { kernel, plan } = registry.get("matmul")!, barrier = "workgroupBarrier();";
  const wgsl: typeof kernel.wgsl = (tuning, dims) => {
    const parts = kernel.wgsl(tuning, dims).split(barrier);
    assert.equal(parts.length, 3, "two barriers");
    return parts.reduce((text, part, i) => text + (i === lost ? "" : barrier) + part);
  };
  const a = tensor(values, [1, 1, 128]),
    b = tensor(Float32Array.from({ length: 128 * 64 }, (_, i) => i % 7), [
      ...[1, 128, 64],
    ]);
  const inputs = [a, b], { dims, outputs: [shape] } = plan(inputs.map(({ shape }) => shape), {});
  const run = async (by: typeof kernel) => {
    const y: Tensor = zeros(shape);
    execute(by, [...inputs, y], dims, y.device);
    return await y.read();
  };
  assertClose(await run({ ...kernel, wgsl }), await run(kernel), 1e-5);
}

const inGroups = (lines: string, before = "") =>
  `${before}fn kernel(group: u32, lane: u32) {\n  let i = group * 64u + lane;\n  ${lines}\n}`;
const shared = "var<workgroup> all: array<f32, 64>;\n";

/** Copying kernels, and what is said of each. */
const faults: Readonly<Record<string, readonly [wgsl: string, says: RegExp | undefined]>> = {
  "no fault": ["fn kernel(i: u32) { y[i] = x[i]; }", undefined],
  "no fault in workgroups": [
    inGroups("all[63u - lane] = x[i]; workgroupBarrier(); y[i] = all[63u - lane];", shared),
    undefined,
  ],
  "a read past the end": [
    "fn kernel(i: u32) { y[i] = select(x[i], x[i + 1u], i == 127u); }",
    /number 127 is NaN, not 128/,
  ],
  "writes past the end": [
    "fn kernel(i: u32) { y[i] = x[i]; y[i + 128u] = 0.0; }",
    /copyForTest writes outside of y/,
  ],
  "invocations that write one word": [
    "fn kernel(i: u32) { if (i % 64u < 32u) { y[i + 32u] = 0.0; } y[i] = x[i]; }",
    /64 of 128 differ/,
  ],
  "a barrier that some lanes skip": [
    inGroups("if (lane < 32u) { workgroupBarrier(); } y[i] = x[i];"),
    /some lanes of copyForTest skip a barrier/,
  ],
  "workgroup memory read without a barrier": [
    inGroups(
      "all[lane] = x[i]; y[i] = all[(lane + 1u) % 64u]; y[i] = all[lane ^ 1u] + x[i] - x[i ^ 1u];",
      shared,
    ),
    /differ/,
  ],
  "17 KiB of workgroup memory": [
    inGroups("all[lane] = x[i]; y[i] = all[lane];", "var<workgroup> all: array<f32, 4352>;\n"),
    /17408/,
  ],
};

for (const [fault, [wgsl, says]] of Object.entries(faults)) {
  testOnWebGpu(`a checked device notices ${fault}`, async () => {
    const run = onNewDevice(() => copy(wgsl, wgsl.includes("group: u32")), {
      software: false,
      checked: true,
    });
    await (says ? assert.rejects(run, says) : run);
  });
}

testOnWebGpu("a checked device notices products that lack a barrier", async () => {
  for (const lost of [1, 2]) {
    await assert.rejects(
      onNewDevice(() => productWithout(lost), { software: false, checked: true }),
      /differ/,
      `barrier ${lost}`,
    );
  }
});
