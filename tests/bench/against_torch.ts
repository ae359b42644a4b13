/**
 * `deno run --allow-env=BENCH_PYTHON --allow-run=python3 tests/bench/against_torch.ts [flags]`: this library, then PyTorch
 * eager on the same machine, on the work of `three_convs.ts`, single convolutions, the networks, MLP mixers and the examples. Flags: `--json`,
 * `--device`, `--repetitions N`, `--threads N` of both, `--torch-device cpu|cuda`, `--nchw` (instead of channels_last).
 *
 * Python is `python3`, or the one that BENCH_PYTHON names; `--allow-run` must then name it, too.
 */
import { fileURLToPath } from "node:url";
import type { Device } from "../../kernels/mod.ts";
import { commonFlags, count, deviceChoice, flagValues, oneOf, openDevice } from "./flags.ts";
import { cases, networkWorks } from "./networks.ts";
import { ownNetworkCases, ownNetworks, ownNetworkWorks } from "./own_networks.ts";
import { readReport, type Report, Reporter } from "./report.ts";
import { batchSize, singleConvolutions, singleConvolutionWorks } from "./single_convs.ts";
import { ourThreeConvolutions } from "./three_convs.ts";
import { type Measurement, timeInTurn, type Work } from "./timing.ts";

const values = flagValues({
  ...commonFlags,
  threads: { type: "string", default: "2" },
  "torch-device": { type: "string", default: "cpu" },
  nchw: { type: "boolean", default: false },
});
const repetitions = count("repetitions", values.repetitions);
const threads = count("threads", values.threads);
const torchDevice = oneOf("torch-device", values["torch-device"], ["cpu", "cuda"]);
const python = Deno.env.get("BENCH_PYTHON") ?? "python3";

/** Runs Python and returns its output. @throws {Error} with the last line that it wrote to stderr */
async function runPython(...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(python, { args: ["-B", ...args] }).output();
  if (success) return new TextDecoder().decode(stdout);
  throw new Error(new TextDecoder().decode(stderr).trim().split("\n").at(-1));
}

/** Why PyTorch cannot be timed here, or undefined if it can. */
async function obstacle(): Promise<string | undefined> {
  try {
    const needed = torchDevice === "cuda" ? "; torch.zeros(1, device='cuda')" : "";
    await runPython("-c", `import torch${needed}`);
    return undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "no such program";
    if (error instanceof Deno.errors.NotCapable) return `it needs --allow-run=${python}`;
    return error instanceof Error ? error.message : String(error);
  }
}

/** Times PyTorch on this machine. */
async function measureTorch(): Promise<Report> {
  const source = "torch_networks.py";
  const printed = await runPython(
    fileURLToPath(import.meta.resolve(`./${source}`)),
    `--cases=${JSON.stringify(cases)}`,
    `--own=${JSON.stringify(ownNetworks)}`,
    `--convolutions=${JSON.stringify(singleConvolutions)}`,
    `--convolution-batch=${batchSize}`,
    `--threads=${threads}`,
    `--repetitions=${repetitions}`,
    `--device=${torchDevice}`,
    values.nchw ? "--no-channels-last" : "--channels-last",
  );
  return readReport(printed, `the output of ${source}`);
}

/** Times this library, one network after another, so that only one of them holds memory. */
async function measureOurs(device: Device): Promise<Measurement[]> {
  const { ours } = await ourThreeConvolutions(device);
  const time = (works: readonly Work[]) => timeInTurn(works, repetitions);
  const measurements = await time([ours.train, ours.forward]);
  for (const work of singleConvolutionWorks(device)) measurements.push(...await time([work]));
  for (const c of cases) measurements.push(...await time(networkWorks(device, c)));
  for (const own of ownNetworkCases()) measurements.push(...await time(ownNetworkWorks(device, own)));
  return measurements;
}

const reason = await obstacle();
if (reason === undefined) {
  const device = await openDevice(deviceChoice(values.device), values.threads);
  const reporter = new Reporter(device.description, values.json);
  const ours = await measureOurs(device);
  const torch = await measureTorch();
  reporter.note(`against ${torch.device}, ${values.nchw ? "NCHW" : "channels_last"}`);
  reporter.against("PyTorch", ours, torch.measurements);
  reporter.end();
  device.close();
} else {
  console.error(
    `Skipped: ${python} cannot run the comparison: ${reason} (needs torch; BENCH_PYTHON names another Python)`,
  );
}
