import type { Adapter } from "./adapters.ts";
import type { Dataset } from "../data/dataset.ts";
import type { Host } from "./host.ts";
import type { Rate } from "./measure_rate.ts";
import type { MainMemory } from "../training/main_memory.ts";
import type { PresetName } from "../settings/training.ts";
import type { DoctorConfig } from "../doctor.ts";

/** The device that training would take. */
export interface ChosenDevice {
  readonly kind: "webgpu" | "cpu";
  readonly description: string;
  /** Whether it computes on processors. */
  readonly software: boolean;
  /** Of the CPU device. */
  readonly threads?: number;
}

/** The server that a run would be sent to. */
export interface Tracker {
  /** As it may be shown: without credentials. */
  readonly url: string;
  /** Whether it has the experiment, undefined if it does not answer as one would. */
  readonly experiment: string;
  readonly exists: boolean;
}

/** All that checks look at; tests make their own. */
export interface Machine {
  readonly versions: { readonly deno: string; readonly os: string; readonly architecture: string };
  readonly settings: DoctorConfig;
  readonly host: Host;
  readonly adapters: readonly Adapter[];
  /** The device that training would take, or why none can be opened. */
  readonly device: ChosenDevice | Error;
  /** Why WebGPU gives no device, if it gives none. */
  readonly noGpu?: string | undefined;
  readonly preset: PresetName;
  readonly memory: MainMemory;
  /** Processors that this process may use at once. */
  readonly parallelism: number;
  /** Loads the data that training would use. */
  data(): Promise<Dataset>;
  /** Asks the server; undefined if none is named. */
  tracker(): Promise<Tracker | undefined>;
  /** Trains for some seconds. */
  rate(): Promise<Rate>;
}
