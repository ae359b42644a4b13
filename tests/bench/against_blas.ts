/**
 * `deno run --allow-ffi --allow-env=BENCH_PYTHON --allow-run=python3 tests/bench/against_blas.ts [flags]`: `matmul` and
 * NumPy's OpenBLAS, alternating in one process. Flags: `--json`, `--repetitions N`, `--threads N` of both (default 1).
 *
 * Python is `python3`, or the one that BENCH_PYTHON names; then `--allow-run` must name it, too.
 */
import { matmul, matmulTransposedA, matmulTransposedB, record, withDevice } from "../../kernels/mod.ts";
import { randomTensor } from "../kernels/oracle.ts";
import { CpuDevice } from "../../kernels/devices/cpu/cpu_device.ts";
import { commonFlags, count, flagValues, titleOf } from "./flags.ts";
import { Reporter } from "./report.ts";
import { type Measurement, queued, timeInTurn } from "./timing.ts";

/** M, N and K of a b, of a b^T as in linear layers, and of a^T b as in their weight gradients. */
const shapes = [
  ...[["a b", 1568, 192, 64], ["a b", 2048, 128, 128], ["a b", 6272, 32, 320], [
    "a b",
    144,
    784,
    64,
  ]] as const,
  ...[["a b", 64, 64, 64], ["a b", 1568, 128, 512], ["a b", 1568, 512, 128]] as const,
  ...[["a bT", 1568, 512, 128], ["a bT", 1568, 128, 512], ["a bT", 1568, 288, 96]] as const,
  ...[["aT b", 512, 128, 1568], ["aT b", 128, 512, 1568], ["aT b", 64, 49, 4096]] as const,
];
const products = { "a b": matmul, "a bT": matmulTransposedB, "aT b": matmulTransposedA } as const;

const symbols = {
  scipy_openblas_set_num_threads64_: { parameters: ["i32"], result: "void" },
  scipy_cblas_sgemm64_: {
    parameters: [
      ...["i32", "i32", "i32", "i64", "i64", "i64", "f32", "buffer", "i64", "buffer", "i64", "f32"] as const,
      ...["buffer", "i64"] as const,
    ],
    result: "void",
  },
} as const;
/** CBLAS_ORDER and CBLAS_TRANSPOSE. */
const rowMajor = 101, asItIs = 111, transposed = 112;

/** Opens the OpenBLAS that NumPy's wheel contains. @throws {Error} if there is none */
async function openBlas() {
  const python = Deno.env.get("BENCH_PYTHON") ?? "python3";
  const source = "import glob, numpy; print(glob.glob(numpy.__path__[0] + '.libs/*openblas64*')[0])";
  const { success, stdout } = await new Deno.Command(python, { args: ["-c", source], stderr: "null" })
    .output();
  if (!success) {
    throw new Error(`Cannot find OpenBLAS: ${python} has no NumPy from a wheel (BENCH_PYTHON names another)`);
  }
  return Deno.dlopen(new TextDecoder().decode(stdout).trim(), symbols).symbols;
}

const values = flagValues({
  json: commonFlags.json,
  repetitions: commonFlags.repetitions,
  threads: { type: "string", default: "1" },
});
const repetitions = count("repetitions", values.repetitions), threads = count("threads", values.threads);
const blas = await openBlas();
blas.scipy_openblas_set_num_threads64_(threads);
const device = await CpuDevice.open({ threads });
const reporter = new Reporter(await titleOf(device), values.json);
const ours: Measurement[] = [], theirs: Measurement[] = [];
for (const [kind, M, N, K] of shapes) {
  const [aT, bT] = [kind === "aT b", kind === "a bT"];
  const sides = [aT ? [K, M] : [M, K], bT ? [N, K] : [K, N]];
  const [a, b] = withDevice(device, () => sides.map((shape, i) => randomTensor(1 + i, shape)));
  const step = record(() => products[kind](a, b));
  const [left, right] = [await a.read(), await b.read()], product = new Float32Array(M * N);
  const [m, n, k] = [M, N, K].map(BigInt), order = (turned: boolean) => turned ? transposed : asItIs;
  const [leftRow, rightRow] = [aT ? m : k, bT ? k : n];
  const multiply = () => {
    blas.scipy_cblas_sgemm64_(
      ...[rowMajor, order(aT), order(bT), m, n, k, 1, left, leftRow, right, rightRow, 0, product, n] as const,
    );
  };
  const work = (step: () => void) =>
    queued(device, `${kind}, ${M} x ${N} x ${K}`, 2 * M * N * K, "GFLOP/s", step);
  const works = [work(() => step.run()), work(multiply)];
  await timeInTurn(works, 1); // engines optimise code only after running it for a while
  const [our, their] = await timeInTurn(works, repetitions);
  ours.push(our);
  theirs.push(their);
}
reporter.against("OpenBLAS", ours, theirs);
reporter.end();
device.close();
