/** The checks of doctor. Each gives one or more lines, with advice if something is wrong. */

import { UserError } from "../../kernels/core/user_error.ts";
import { mostThreads } from "../../kernels/devices/cpu/thread_team.ts";
import { startCommand } from "../run/program_files.ts";
import { ConfigError } from "../settings/setting.ts";
import { type Gpus, gpusIn, nvidia, nvidiaVersion, rankOf, whyHidden } from "./hidden_gpus.ts";
import type { Adapter, Machine } from "./machine.ts";

/** A line about a machine. */
export interface Finding {
  /** `warning`: training works, but not as well as it could; `error`: it cannot start, or leaves hardware unused. */
  readonly state: "ok" | "warning" | "error";
  /** e.g. `http://127.0.0.1:5000 cannot be reached`. */
  readonly says: string;
  /** What to do about a warning or error. */
  readonly advice?: string;
  /** Measured values by name, with units. */
  readonly values: Values;
}

type Values = Readonly<Record<string, unknown>>;
type Check = (machine: Machine) => Finding | readonly Finding[] | Promise<Finding>;

const ok = (says: string, values: Values = {}): Finding => ({ state: "ok", says, values });
const bad = (state: "warning" | "error") => (says: string, advice: string, values: Values = {}): Finding => {
  return { state, says, advice, values };
};
const [warning, error] = [bad("warning"), bad("error")];

/** With less memory, little fits besides the data set. */
const leastMemory = 2 ** 30;
/** Bytes for one run of the preset `quick` with its pictures, and for more than a few runs. */
const [leastRoom, enoughRoom] = [2 ** 28, 2 ** 32];

/** All checks in order, the slowest last. Their names start their lines. */
export const checks = {
  deno({ versions, host: { problem } }) {
    const version = ok(`Deno ${versions.deno}, ${versions.os} ${versions.architecture}`, versions);
    if (problem === undefined) return version;
    const advice = `start it as ${startCommand("doctor")}, on a disk whose programs may run`;
    return [version, warning(`this machine cannot be examined: ${problem}`, advice)];
  },

  /** The next check says whether they are enough. */
  adapter({ adapters, host }) {
    if (adapters.length === 0) return ok("WebGPU offers none");
    return adapters.map((adapter) => {
      const driver = adapter.vendor === nvidia ? nvidiaVersion(host) : undefined;
      return ok(adapterInWords(adapter, driver), { ...adapter, driver: driver ?? null });
    });
  },

  gpu(machine) {
    const { host, device, settings, adapters } = machine;
    const gpus = gpusIn(host);
    const onWebgpu = !(device instanceof Error) && device.kind === "webgpu";
    const used = onWebgpu && !device.software;
    const values = { gpus: gpus.flatMap(({ names }) => names), used };
    const seen = adapters.find(({ software }) => !software);
    const hidden = (gpus: readonly Gpus[]) => gpus.flatMap((found) => hiddenGpus(found, machine, values));
    if (used) {
      const better = gpus.filter(({ maker }) => maker.rank > rankOf(seen?.vendor));
      if (better.length > 0) return hidden(better);
      const others = values.gpus.length > 1 ? `, one of ${values.gpus.length} GPUs` : "";
      return ok(`training uses ${seen?.name ?? "the GPU"}${others}`, values);
    }
    if (seen !== undefined && settings.device === "cpu") {
      return error(`--device cpu leaves ${seen.name} idle`, "leave --device out", values);
    }
    if (seen !== undefined) {
      const advice = "see whether other programs hold its memory, and restart its driver";
      return error(
        `${seen.name} gives no device: ${machine.noGpu ?? "WebGPU does not say why"}`,
        advice,
        values,
      );
    }
    if (gpus.length > 0) return hidden(gpus);
    if (!onWebgpu) return ok("no GPU found; training runs on the CPU device", values);
    return error(
      `--device webgpu computes on processors (${device.description})`,
      "leave --device out: the CPU device is faster than a software adapter",
      values,
    );
  },

  memory({ memory: { total, available, limit } }) {
    const limited = limit < total;
    const values = { totalBytes: total, availableBytes: available, limitBytes: limited ? limit : null };
    const says = limited
      ? `${shownBytes(limit)} may be used, of ${shownBytes(total)}: a control group limits it`
      : `${shownBytes(available)} free of ${shownBytes(total)}`;
    if (Math.min(available, limit) >= leastMemory) return ok(says, values);
    const more = limited ? "ask for more (Docker: --memory, Slurm: --mem)" : "end other programs";
    return warning(says, `${more}, or train with smaller --filters or --batch-size`, values);
  },

  processors({ device, parallelism, host: { processors, quota } }) {
    if (device instanceof Error) return [];
    const { threads } = device;
    const limit = Number.isFinite(quota) ? quota : null;
    const values = {
      processors: processors ?? null,
      usable: parallelism,
      quota: limit,
      threads: threads ?? null,
    };
    const groups = limit === null ? "" : ` (control groups allow ${limit})`;
    const says = processors !== undefined && processors > parallelism
      ? `${parallelism} of the machine's ${processors} processors may be used${groups}`
      : `${parallelism} processors`;
    if (threads === undefined) return ok(says, values); // a GPU computes
    if (limit !== null && threads > Math.ceil(limit)) {
      const advice = `use --threads ${Math.floor(limit) || 1}`;
      return warning(`${threads} threads share the time of ${limit} processors`, advice, values);
    }
    if (threads >= Math.min(parallelism, mostThreads)) return ok(`${says}, ${threads} threads`, values);
    return error(`${threads} of ${parallelism} processors are used`, "leave --threads out", values);
  },

  disk({ host: { problem, folder }, settings: { root } }) {
    if (problem !== undefined) return []; // the first line says so
    const { path, writable, freeBytes } = folder;
    const values = { folder: path, writable, freeBytes: freeBytes ?? null };
    if (!writable) {
      const advice = "give another folder (train: --out DIR), or make runs a link to one";
      return error(`runs cannot be written to ${root}: ${path} is not writable`, advice, values);
    }
    if (freeBytes === undefined) {
      return ok(`runs go to ${root}; the system does not say how much room it has`, values);
    }
    const says = `${shownBytes(freeBytes)} are free for runs in ${root}`;
    if (freeBytes >= enoughRoom) return ok(says, values);
    const advice = "make room, or make runs a link to a folder on another disk";
    return (freeBytes < leastRoom ? error : warning)(says, advice, values);
  },

  async data(machine) {
    try {
      const { name, source, train, test, height, width, channels, classes } = await machine.data();
      const images = (train.count + test.count).toLocaleString("en");
      return ok(`${name} from ${source}: ${images} images of ${height} x ${width}`, {
        name,
        source,
        trainImages: train.count,
        testImages: test.count,
        channels,
        height,
        width,
        classes,
      });
    } catch (cause) {
      return error(...explanation(cause, "give another --data"));
    }
  },

  async tracker(machine) {
    try {
      const tracker = await machine.tracker();
      if (!tracker) return ok("no server is named; runs are recorded in their folders", { url: null });
      const { url, experiment, exists } = tracker;
      return ok(
        `${url} answers; its experiment ${experiment} ${exists ? "exists" : "will be made"}`,
        tracker,
      );
    } catch (cause) {
      // Credentials are in neither message: run/server_url.ts decides what of an address is shown.
      return cause instanceof ConfigError // training would not start
        ? error(...explanation(cause, "give the http:// address of an MLflow server"))
        : warning(...explanation(
          cause,
          `start it, or train without it: run folders keep everything, and ${
            startCommand("sync")
          } sends it later`,
        ));
    }
  },

  async training(machine) {
    const { device, settings: { model, seconds }, preset, noGpu } = machine;
    if (device instanceof Error) {
      return error(device.message, noGpu === undefined ? "give another --device" : "see the lines above");
    }
    const { kind, description } = device;
    const chosen = { model, preset, device: kind, description };
    const place = kind === "cpu" ? `the CPU device (${description})` : description;
    const what = `${model}, preset ${preset}, on ${place}`;
    if (seconds === 0) return ok(`${what}; not timed (--seconds 0)`, chosen);
    try {
      const { reduced, ...rate } = await machine.rate();
      const values = { ...chosen, ...rate };
      const says = `${what}: ${rate.imagesPerSecond.toPrecision(3)} images/s, ` +
        `${rate.stepMilliseconds.toPrecision(3)} ms a step of ${rate.batchSize}, ` +
        `${shownBytes(rate.plannedBytes)} planned`;
      if (reduced === undefined) return ok(says, values);
      return warning(`${says}; ${reduced}`, "give training more memory, or set --batch-size to that", values);
    } catch (cause) {
      const [says, advice] = explanation(cause, "try --device cpu");
      return error(`${what}: ${says}`, advice, chosen);
    }
  },
} satisfies Record<string, Check>;

/** A finding, and the check that made it. */
export type Line = Finding & { readonly check: string };

/** Runs all checks in order and yields each line as soon as it is known. */
export async function* examine(machine: Machine): AsyncGenerator<Line> {
  for (const [check, run] of Object.entries<Check>(checks)) {
    for (const finding of [await run(machine)].flat()) yield { check, ...finding };
  }
}

/** A line as text. */
export function lineText({ check, state, says, advice }: Line): string {
  return `${state.padEnd(8)} ${check.padEnd(10)} ${says}${advice === undefined ? "" : `; ${advice}`}`;
}

/** Lines as `--json` prints them: numbers as numbers, sizes in bytes. */
export function asJson(lines: readonly Line[]) {
  return {
    ok: lines.every(({ state }) => state !== "error"),
    findings: lines.map(({ check, state, says, advice = null, values }) => {
      return { check, state, says, advice, values };
    }),
  };
}

function adapterInWords({ name, software, features, limits }: Adapter, driver: string | undefined): string {
  const { maxBufferSize, maxStorageBufferBindingSize, maxComputeWorkgroupStorageSize } = limits;
  return [
    name + (software ? " (software)" : ""),
    ...driver === undefined ? [] : [`driver ${driver}`],
    `values of up to ${shownBytes(Math.min(maxBufferSize, maxStorageBufferBindingSize))}`,
    `${maxComputeWorkgroupStorageSize / 1024} KiB a workgroup`,
    features.includes("shader-f16") ? "shader-f16" : "no shader-f16 (--precision f16 is refused)",
  ].join(", ");
}

function hiddenGpus(gpus: Gpus, { adapters, host }: Machine, values: Values): Finding[] {
  const [name] = gpus.names;
  const count = gpus.names.length > 1 ? `${gpus.names.length} GPUs (${name})` : name;
  const only = adapters.length > 0 && adapters.every(({ software }) => software)
    ? "only a software adapter is found"
    : "WebGPU does not see it";
  return whyHidden(gpus, host).map(([says, advice]) => error(`${count}: ${only}: ${says}`, advice, values));
}

/**
 * What a user's error says, and what to do about it.
 *
 * @param otherwise what to do if the error does not say
 * @throws {unknown} the error itself if it is not a user's
 */
function explanation(cause: unknown, otherwise: string): [says: string, advice: string] {
  if (!(cause instanceof UserError)) throw cause;
  const [says, ...advice] = cause.message.replaceAll(/\s*\n\s*/g, " ").split("; ");
  return [says, advice.join("; ") || otherwise];
}

/** A size as text, e.g. `23.5 GiB`. */
function shownBytes(bytes: number): string {
  const [size, unit] = bytes >= 2 ** 30 ? [2 ** 30, "GiB"] : [2 ** 20, "MiB"];
  return `${(bytes / size).toFixed(1)} ${unit}`;
}
