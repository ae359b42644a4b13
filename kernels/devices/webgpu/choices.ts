import type { KernelCall, Tuning } from "../device.ts";

/** What a choice depends on. */
type ChosenCall = Pick<KernelCall, "kernel" | "dims" | "half" | "candidate">;

/** Kernel and sizes of a call, the key of its choice. */
export function nameOfCall({ kernel, dims, half = [] }: ChosenCall): string {
  const sizes = Object.entries(dims).map(([name, value]) => `${name}=${value}`);
  return [kernel.name, ...sizes, ...half.map((port) => `${port}:f16`)].join(" ");
}

/** The candidates chosen for calls, by kernel and sizes. */
export class Choices {
  readonly #chosen = new Map<string, string>();
  readonly #tunings = new Map<string, Tuning>();
  #version = 0;

  /** @param table the tuning of calls without a choice */
  constructor(readonly table: Tuning) {}

  /** Changes with every new choice. */
  get version(): number {
    return this.#version;
  }

  /** The tuning for a call. */
  of(call: ChosenCall): Tuning {
    const candidate = call.candidate ?? this.chosen(call);
    if (candidate === undefined) return this.table;
    const cached = this.#tunings.get(candidate);
    if (cached) return cached;
    const tuning = { ...this.table, candidate };
    this.#tunings.set(candidate, tuning);
    return tuning;
  }

  /** Name of the candidate chosen for a call, if any. */
  chosen(call: ChosenCall): string | undefined {
    if (this.#chosen.size === 0 || !call.kernel.candidates) return undefined;
    return this.#chosen.get(nameOfCall(call));
  }

  choose(call: ChosenCall, candidate: string): void {
    this.#chosen.set(nameOfCall(call), candidate);
    this.#version++;
  }
}
