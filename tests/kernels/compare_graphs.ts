/**
 * `deno run --allow-env=BENCH_PYTHON --allow-run=python3 tests/kernels/compare_graphs.ts [--count 300] [--first 0] [--device cpu]`: compares
 * random graphs of all ops with PyTorch in f64, on both devices. With `--write` (needs --allow-write=tests/vectors) it
 * keeps a few of them that have all ops for the tests.
 *
 * Python is `python3` with torch, or the one that BENCH_PYTHON names; `--allow-run` must then name it, too.
 */
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { withDevice } from "../../kernels/mod.ts";
import { devices } from "../testing.ts";
import { assertSameDerivatives, type Derivatives, derivativesOf, type Graph } from "./graph.ts";
import { randomGraph } from "./random_graphs.ts";

const { values } = parseArgs({
  options: {
    count: { type: "string", default: "300" },
    first: { type: "string", default: "0" },
    device: { type: "string" },
    write: { type: "boolean", default: false },
  },
});

/** What PyTorch finds. */
async function byTorch(graphs: readonly Graph[]): Promise<Derivatives[]> {
  const script = fileURLToPath(import.meta.resolve("../vectors/graphs.py"));
  const python = new Deno.Command(Deno.env.get("BENCH_PYTHON") ?? "python3", {
    args: ["-B", script],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = python.stdin.getWriter();
  await writer.write(new TextEncoder().encode(JSON.stringify(graphs)));
  await writer.close();
  return JSON.parse(new TextDecoder().decode((await python.output()).stdout));
}

const graphs: Graph[] = [];
for (let i = 0; i < Number(values.count); i++) {
  graphs.push(await withDevice(await devices.cpu(), () => randomGraph(Number(values.first) + i)));
}
const expected = await byTorch(graphs);
for (const kind of ["cpu", "webgpu"] as const) {
  if (values.device !== undefined && values.device !== kind) continue;
  const device = await devices[kind]();
  let passed = 0;
  for (const [i, graph] of graphs.entries()) {
    try {
      assertSameDerivatives(graph, await withDevice(device, () => derivativesOf(graph)), expected[i]);
      passed++;
    } catch (error) {
      console.log(`${kind}: graph ${Number(values.first) + i}: ${(error as Error).message}`);
    }
  }
  console.log(`${kind}: ${passed} of ${graphs.length} graphs agree with PyTorch`);
}

if (values.write) {
  const missing = new Set(graphs.flatMap(({ calls }) => calls.map(({ op }) => op)));
  const kept: { graph: Graph; expected: Derivatives }[] = [];
  const news = ({ calls }: Graph) => new Set(calls.map(({ op }) => op).filter((op) => missing.has(op))).size;
  while (missing.size > 0) {
    const best = graphs.reduce((a, b, i) => news(b) > news(graphs[a]) ? i : a, 0);
    kept.push({ graph: graphs[best], expected: expected[best] });
    for (const { op } of graphs[best].calls) missing.delete(op);
  }
  const digits = (_: string, value: unknown) =>
    typeof value === "number" ? Number(value.toPrecision(7)) : value;
  await Deno.writeTextFile(
    new URL("../vectors/graphs.json", import.meta.url),
    `${JSON.stringify(kept, digits)}\n`,
  );
}
