import { parseArgs, type ParseArgsConfig } from "node:util";
import { type Device, type DeviceChoice, DeviceError, init } from "../../kernels/mod.ts";
import { defaultRepetitions } from "./timing.ts";

/** Flags that every benchmark has, for `flagValues`. */
export const commonFlags = {
  json: { type: "boolean", default: false },
  device: { type: "string", default: "auto" },
  threads: { type: "string" },
  repetitions: { type: "string", default: String(defaultRepetitions) },
} as const;

/** Ends the program with a line that says what is wrong with the command. */
function refuse(line: string): never {
  console.error(line);
  Deno.exit(1);
}

/** The values of the command line's flags; another flag, or one without its value, ends the program with a line. */
export function flagValues<const Options extends NonNullable<ParseArgsConfig["options"]>>(options: Options) {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    const known = Object.keys(options).map((name) => `--${name}`).join(", ");
    refuse(`${(error as Error).message.split(/\.\s/)[0]} (known: ${known})`);
  }
}

/** A flag's positive integer; anything else ends the program with a line. */
export function count(flag: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  refuse(`Cannot use --${flag} ${text} (expected a positive integer)`);
}

/** A flag's word; one that is not known ends the program with a line. */
export function oneOf<T extends string>(flag: string, text: string, known: readonly T[]): T {
  const found = known.find((word) => word === text);
  if (found !== undefined) return found;
  refuse(`Cannot use --${flag} ${text} (expected ${known.join(" or ")})`);
}

/** The choice of `--device`. */
export function deviceChoice(text: string): DeviceChoice {
  return oneOf("device", text, ["auto", "webgpu", "cpu"]);
}

/** Opens a device; where there is none of the kind, the program ends with a line that says so. */
export async function openDevice(device: DeviceChoice, threads?: string): Promise<Device> {
  try {
    return await init({ device, ...threads !== undefined && { threads: count("threads", threads) } });
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    refuse(`DeviceError: ${error.message}`);
  }
}
