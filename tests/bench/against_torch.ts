/**
 * `deno run --allow-env=BENCH_PYTHON --allow-run=python3 tests/bench/against_torch.ts [flags]`: this library and PyTorch
 * eager by turns, on single convolutions, the U-Nets, three convolutions, MLP mixers and the examples. Flags:
 * `--json`, `--device`, `--repetitions N`, `--threads N` of both, `--only WORDS` (works whose names contain them),
 * `--torch-device cpu|cuda`, `--nchw` (instead of channels_last).
 *
 * Python is `python3`, or the one that BENCH_PYTHON names; `--allow-run` must then name it, too.
 */
import { fileURLToPath } from "node:url";
import { commonFlags, count, deviceChoice, flagValues, oneOf, openDevice, titleOf } from "./flags.ts";
import { cases, networkWorks } from "./networks.ts";
import {
  convolutionBatch,
  ownNetworkCases,
  ownNetworks,
  ownNetworkWorks,
  singleConvolutions,
  singleConvolutionWorks,
} from "./own_networks.ts";
import { Reporter } from "./report.ts";
import { type Measurement, timeInTurn, type Work } from "./timing.ts";

const values = flagValues({
  ...commonFlags,
  threads: { type: "string", default: "2" },
  only: { type: "string", multiple: true, default: [""] },
  "torch-device": { type: "string", default: "cpu" },
  nchw: { type: "boolean", default: false },
});
const repetitions = count("repetitions", values.repetitions);
const threads = count("threads", values.threads);
const torchDevice = oneOf("torch-device", values["torch-device"], ["cpu", "cuda"]);
const python = Deno.env.get("BENCH_PYTHON") ?? "python3";

/** PyTorch in a process of its own, which runs works on request. */
class Torch {
  readonly #process: Deno.ChildProcess;
  readonly #requests: WritableStreamDefaultWriter<Uint8Array>;
  readonly #answers: ReadableStreamDefaultReader<string>;
  #text = "";

  constructor() {
    this.#process = new Deno.Command(python, {
      args: [
        "-B",
        fileURLToPath(import.meta.resolve("./torch_networks.py")),
        `--cases=${JSON.stringify(cases)}`,
        `--own=${JSON.stringify(ownNetworks)}`,
        `--convolutions=${JSON.stringify(singleConvolutions)}`,
        `--convolution-batch=${convolutionBatch}`,
        `--threads=${threads}`,
        `--device=${torchDevice}`,
        values.nchw ? "--no-channels-last" : "--channels-last",
      ],
      ...{ stdin: "piped", stdout: "piped", stderr: "piped" },
    }).spawn();
    this.#requests = this.#process.stdin.getWriter();
    this.#answers = this.#process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** The next line that Python prints. @throws {Error} with the last line of stderr if it ends instead */
  async answer(): Promise<unknown> {
    while (!this.#text.includes("\n")) {
      const { value, done } = await this.#answers.read();
      if (done) {
        const errors = await new Response(this.#process.stderr).text();
        throw new Error(errors.trim().split("\n").at(-1));
      }
      this.#text += value;
    }
    const [line] = this.#text.split("\n", 1);
    this.#text = this.#text.slice(line.length + 1);
    return JSON.parse(line);
  }

  /** The same work as one of ours. */
  work({ name, amount, unit }: Work, names: readonly string[]): Work {
    const index = names.indexOf(name);
    if (index < 0) throw new Error(`PyTorch has no work "${name}"`);
    const run = async (count: number) => {
      await this.#requests.write(new TextEncoder().encode(`${index} ${count}\n`));
      await this.answer();
    };
    return { name, amount, unit, run };
  }

  async end(): Promise<void> {
    await this.#requests.close();
    await this.#process.status;
  }
}

/** Starts PyTorch; or why it cannot be timed here. */
async function startTorch(): Promise<{ torch: Torch; device: string; names: string[] } | string> {
  try {
    const torch = new Torch();
    return { torch, ...await torch.answer() as { device: string; names: string[] } };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "no such program";
    if (error instanceof Deno.errors.NotCapable) return `it needs --allow-run=${python}`;
    return error instanceof Error ? error.message : String(error);
  }
}

const started = await startTorch();
if (typeof started === "string") {
  console.error(
    `Skipped: ${python} cannot run the comparison: ${started} (needs torch; BENCH_PYTHON names another Python)`,
  );
  Deno.exit();
}
const { torch, names } = started;
const device = await openDevice(deviceChoice(values.device), values.threads);
const reporter = new Reporter(await titleOf(device), values.json);
reporter.note(`against ${started.device}, ${values.nchw ? "NCHW" : "channels_last"}`);
const isWanted = ({ name }: { name: string }) => values.only.some((words) => name.includes(words));
const ours: Measurement[] = [], theirs: Measurement[] = [];
async function compare(works: readonly Work[]): Promise<void> {
  for (const work of works.filter(isWanted)) {
    const [our, their] = await timeInTurn([work, torch.work(work, names)], repetitions);
    ours.push(our);
    theirs.push(their);
  }
}
await compare(singleConvolutionWorks(device));
for (const c of cases) await compare(networkWorks(device, c));
for (const own of ownNetworkCases()) await compare(ownNetworkWorks(device, own));
reporter.against("PyTorch", ours, theirs);
reporter.end();
device.close();
await torch.end();
