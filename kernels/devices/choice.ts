/** Choices between the ways in which a device can run a call. */

/** What a choice is about: equal on every start with the same device, sizes and candidates. */
export interface ChoiceKey {
  /** The device: vendor, architecture, device and description of its adapter. */
  readonly adapter: string;
  /** Kernel and sizes, such as `matmul A=1 M=64 K=32 B=1 N=10 Y=1`. */
  readonly call: string;
  /** Digest of the candidates' shaders. */
  readonly candidates: string;
}

/** Where choices are kept between starts. What it gives is checked: it is used only where it names a candidate. */
export interface ChoiceStore {
  /** The name of the candidate chosen earlier, if any. */
  get(key: ChoiceKey): string | undefined;
  /** Keeps a choice that was measured. */
  set(key: ChoiceKey, candidate: string): void;
}

/** How a step's calls are tuned. */
export interface TuneOptions {
  /** Choices of earlier starts, and a place for new ones. */
  readonly store?: ChoiceStore;
  /** About how long to measure, 5 by default; 0 measures nothing. What takes longest in the step is measured first. */
  readonly seconds?: number;
  /** Hears of how many of the calls to be measured are done. */
  readonly progress?: (done: number, all: number) => void;
  /** Ends the measuring early; what it has found counts. */
  readonly signal?: AbortSignal | undefined;
}

/** Why a call runs as it does: by the device's table, by a choice of the store or made before, or by a measurement. */
export type ChosenBy = "table" | "store" | "memory" | "measurement";

/** How calls of a step run that can run in several ways. */
export interface KernelChoice {
  /** What was chosen for. */
  readonly key: ChoiceKey;
  /** How often the step makes the call. */
  readonly calls: number;
  /** What it can run; first what the table takes. */
  readonly candidates: readonly string[];
  /** What it runs. */
  readonly chosen: string;
  /** Why. */
  readonly by: ChosenBy;
  /** Milliseconds of a run by candidate, of those that were measured. */
  readonly milliseconds: Readonly<Record<string, number>>;
}
