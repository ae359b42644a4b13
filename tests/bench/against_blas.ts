/**
 * `deno run --allow-ffi --allow-env=BENCH_PYTHON --allow-run=python3 tests/bench/against_blas.ts [flags]`: `matmul` and
 * NumPy's OpenBLAS, alternating in one process. Flags: `--json`, `--repetitions N`, `--threads N` of both (default 1).
 *
 * Python is `python3`, or the one that BENCH_PYTHON names; then `--allow-run` must name it, too.
 */
import { matmul, record, withDevice } from "../../kernels/mod.ts";
import { randomTensor } from "../kernels/oracle.ts";
import { CpuDevice } from "../../kernels/devices/cpu/cpu_device.ts";
import { commonFlags, count, flagValues } from "./flags.ts";
import { Reporter } from "./report.ts";
import { type Measurement, queued, timeInTurn } from "./timing.ts";

/** M, N and K: linear layers and attention of small networks. */
const shapes = [[1568, 192, 64], [2048, 128, 128], [6272, 32, 320], [144, 784, 64], [64, 64, 64]] as const;

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
const rowMajor = 101, asItIs = 111;

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
await device.hasWideVectors(); // measured once; otherwise the first product would take longer
const reporter = new Reporter(device.description, values.json);
const ours: Measurement[] = [], theirs: Measurement[] = [];
for (const [M, N, K] of shapes) {
  const [a, b] = withDevice(device, () => [randomTensor(1, [M, K]), randomTensor(2, [K, N])]);
  const step = record(() => matmul(a, b));
  const [left, right] = [await a.read(), await b.read()], product = new Float32Array(M * N);
  const [m, n, k] = [M, N, K].map(BigInt);
  const multiply = () => {
    blas.scipy_cblas_sgemm64_(rowMajor, asItIs, asItIs, m, n, k, 1, left, k, right, n, 0, product, n);
  };
  const work = (step: () => void) =>
    queued(device, `matmul ${M} x ${N} x ${K}`, 2 * M * N * K, "GFLOP/s", step);
  const [our, their] = await timeInTurn([work(() => step.run()), work(multiply)], repetitions);
  ours.push(our);
  theirs.push(their);
}
reporter.against("OpenBLAS", ours, theirs);
reporter.end();
device.close();
