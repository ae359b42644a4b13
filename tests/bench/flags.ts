import { parseArgs, type ParseArgsConfig } from "node:util";
import { type Device, type DeviceChoice, DeviceError, init } from "../../kernels/mod.ts";
import { CpuDevice } from "../../kernels/devices/cpu/cpu_device.ts";
import { defaultRepetitions } from "./timing.ts";

/** Flags of most benchmarks, for `flagValues`. */
export const commonFlags = {
  json: { type: "boolean", default: false },
  device: { type: "string", default: "auto" },
  threads: { type: "string" },
  repetitions: { type: "string", default: String(defaultRepetitions) },
} as const;

/** Ends the program with an error message about the command line. */
function refuse(line: string): never {
  console.error(line);
  Deno.exit(1);
}

/** What each flag of a benchmark means. */
const meanings: Readonly<Record<string, string>> = {
  "json": "print one JSON object, not tables",
  "device": "auto, webgpu or cpu",
  "threads": "threads of the CPU device (default: as many as there are)",
  "repetitions": "timed runs, of which the median counts",
  "ops": "time of single operations",
  "networks": "training, forward passes, sampling and memory",
  "shares": "share of each operation in a training step",
  "roofline": "time of each operation beside what the device can do",
  "precision": "f32, or f16 for weights and activations",
  "only": "only the cases whose names contain these words; may be repeated",
  "torch-device": "device of PyTorch: cpu or cuda",
  "nchw": "PyTorch without channels last",
  "steps": "training steps to time",
  "batch": "images of a training step",
  "filters": "channels of each stage of the U-Net",
  "seconds": "seconds that tuning may take",
};

/** The text of `--help`. */
function helpOf(options: NonNullable<ParseArgsConfig["options"]>): string {
  const rows = Object.entries(options).map(([name, { type, default: usual }]) => ({
    flag: `--${name}${type === "string" ? " VALUE" : ""}`,
    meaning: `${meanings[name]}${typeof usual === "string" && usual !== "" ? ` (default: ${usual})` : ""}`,
  }));
  const width = Math.max(...rows.map(({ flag }) => flag.length));
  const lines = rows.map(({ flag, meaning }) => `  ${flag.padEnd(width)}  ${meaning}`);
  return ["Flags:", ...lines, "", "More in tests/bench/README.md"].join("\n");
}

/** Parses the flags. Unknown flags and missing values end the program with a message; `--help` prints the flags. */
export function flagValues<const Options extends NonNullable<ParseArgsConfig["options"]>>(options: Options) {
  if (Deno.args.some((word) => word === "--help" || word === "-h")) {
    console.log(helpOf(options));
    Deno.exit();
  }
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    const known = Object.keys(options).map((name) => `--${name}`).join(", ");
    refuse(`${(error as Error).message.split(/\.\s/)[0]} (known: ${known})`);
  }
}

/** A positive integer from a flag; anything else ends the program with a message. */
export function count(flag: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  refuse(`Cannot use --${flag} ${text} (expected a positive integer)`);
}

/** One of several words from a flag; any other ends the program with a message. */
export function oneOf<T extends string>(flag: string, text: string, known: readonly T[]): T {
  const found = known.find((word) => word === text);
  if (found !== undefined) return found;
  refuse(`Cannot use --${flag} ${text} (expected ${known.join(" or ")})`);
}

/** The value of `--device`. */
export function deviceChoice(text: string): DeviceChoice {
  return oneOf("device", text, ["auto", "webgpu", "cpu"]);
}

/** Opens a device; ends the program with a message if there is none of the kind. */
export async function openDevice(device: DeviceChoice, threads?: string): Promise<Device> {
  try {
    return await init({ device, ...threads !== undefined && { threads: count("threads", threads) } });
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    refuse(`DeviceError: ${error.message}`);
  }
}

/** A device's title in tables, which says whether products use wide vectors: that is measured, and takes up to a second. */
export async function titleOf(device: Device): Promise<string> {
  if (!(device instanceof CpuDevice)) return device.description;
  return `${device.description}, ${await device.hasWideVectors() ? "wide" : "no wide"} vectors`;
}
