import assert from "node:assert/strict";
import * as kernels from "../../kernels/mod.ts";
import stored from "../vectors/graphs.json" with { type: "json" };
import { testOnGpuKernels } from "../testing.ts";
import { assertSameDerivatives, type Derivatives, derivativesOf, type Graph, graphOps } from "./graph.ts";

const graphs = stored as unknown as readonly { readonly graph: Graph; readonly expected: Derivatives }[];

testOnGpuKernels("graphs of all ops have PyTorch's values, first and second derivatives", async () => {
  for (const { graph, expected } of graphs) {
    assertSameDerivatives(graph, await derivativesOf(graph), expected);
  }
});

/** Public functions of tensors without gradients, those of randomness, and those that change tensors. */
const withoutGradients =
  "adamL2Update adamUpdate assign emaUpdate putAt sgdUpdate full gatherImages normals packBytes " +
  "randomBits randomNormal randomNormalRows randomUniform tensor uniforms zeros";
/** Public functions that are not ops. */
const notOps =
  "checkGradients countMultiplyAdds currentDevice defineOp gradients init planMemory record jvp peek scope " +
  "withDevice";
/** Ops that stored graphs use inside others. */
const inside: Readonly<Record<string, string>> = {
  argmax: "crossEntropy",
  greater: "where",
  less: "whereLess",
  squaredNorm: "square",
};

Deno.test("stored graphs have every public op", () => {
  const used = new Set(graphs.flatMap(({ graph }) => graph.calls.map(({ op }) => op)));
  assert.deepEqual(graphOps.filter((op) => !used.has(op)), []);
  const ops = Object.entries(kernels).filter(([, value]) =>
    typeof value === "function" && !/^class/.test(`${value}`)
  )
    .map(([name]) => name).filter((name) => !`${withoutGradients} ${notOps}`.split(" ").includes(name));
  assert.deepEqual(ops.filter((op) => !used.has(inside[op] ?? op)), []);
});
