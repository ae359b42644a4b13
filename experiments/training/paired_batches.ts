import type {
  BatchOrder,
  Coupling,
  HostExamples,
  NoiseDraw,
  Pairing,
  TransportCoupling,
} from "../../models/mod.ts";
import { TrainingError } from "../cli/task.ts";

/** Steps whose pairings are kept after use, in addition to a line of metrics. */
const kept = 256;

/**
 * The batches of a run, paired with their noise. A slow coupling runs in a worker, ahead of the steps, so that training
 * does not wait. Each pairing depends only on seed and step.
 */
export class PairedBatches implements Disposable {
  readonly #order: BatchOrder;
  readonly #coupling: Coupling;
  readonly #data: HostExamples | undefined;
  readonly #logEvery: number;
  readonly #pairings = new Map<number, Promise<Pairing>>();
  readonly #open = new Set<MessagePort>();
  readonly #failure = Promise.withResolvers<never>();
  #worker: Worker | undefined;

  /** @param logEvery steps of a line of metrics */
  constructor(
    order: BatchOrder,
    coupling: Coupling,
    data: HostExamples | undefined,
    { logEvery }: { readonly logEvery: number },
  ) {
    this.#order = order;
    this.#coupling = coupling;
    this.#data = data;
    this.#logEvery = logEvery;
    this.#failure.promise.catch(() => {}); // the code that awaits a pairing gets the error
  }

  /**
   * The examples of steps from `from` up to `to`, in the order of the noise. Starts pairing the same number of steps
   * ahead.
   *
   * @throws {TrainingError} if the worker fails
   */
  async batches(from: number, to: number): Promise<Uint32Array<ArrayBuffer>[]> {
    const steps = Array.from({ length: to - from }, (_, i) => from + i);
    const coupling = this.#coupling;
    if (!isTransport(coupling)) {
      return steps.map((step) => coupling.pair(this.#order.batch(step), this.#draw(step), this.#data));
    }
    for (let step = from; step < 2 * to - from; step++) this.#pairing(coupling, step);
    const pairings = await Promise.all(steps.map((step) => this.#pairing(coupling, step)));
    for (const step of this.#pairings.keys()) {
      if (step < from - this.#logEvery - kept) this.#pairings.delete(step);
    }
    return pairings.map(({ order }, i) => {
      const examples = this.#order.batch(steps[i]);
      return order.map((at) => examples[at]);
    });
  }

  /**
   * Mean squared distance between noise and data per pixel, with and without pairing, over the line of metrics that
   * ends before `step`; undefined without transport.
   */
  async costs(step: number): Promise<Record<"transport_cost" | "independent_cost", number> | undefined> {
    const coupling = this.#coupling;
    if (!isTransport(coupling) || step === 0) return undefined;
    const steps = Array.from({ length: Math.min(this.#logEvery, step) }, (_, i) => step - 1 - i);
    const pairings = await Promise.all(steps.map((step) => this.#pairing(coupling, step)));
    const mean = (name: "cost" | "independentCost") =>
      pairings.reduce((sum, pairing) => sum + pairing[name], 0) / pairings.length;
    return { transport_cost: mean("cost"), independent_cost: mean("independentCost") };
  }

  /** Ends the workers. */
  [Symbol.dispose](): void {
    this.#worker?.terminate();
    this.#worker = undefined;
    for (const port of this.#open) this.#close(port); // an open port keeps the program running
  }

  #close(port: MessagePort): void {
    port.close();
    this.#open.delete(port);
  }

  #draw(step: number): NoiseDraw {
    return { seed: this.#order.seed, step };
  }

  #pairing(coupling: TransportCoupling, step: number): Promise<Pairing> {
    const begun = this.#pairings.get(step);
    if (begun) return begun;
    const batch = coupling.batch(this.#order.batch(step), this.#draw(step), this.#data);
    const { port1: here, port2: there } = new MessageChannel();
    this.#open.add(here);
    const answer = new Promise<Pairing>((resolve) =>
      here.onmessage = ({ data }) => {
        this.#close(here);
        resolve(data);
      }
    );
    this.#start().postMessage(batch, [there, batch.values.buffer]);
    const pairing = Promise.race([answer, this.#failure.promise]);
    pairing.catch(() => {}); // the code that awaits it gets the error
    this.#pairings.set(step, pairing);
    return pairing;
  }

  #start(): Worker {
    if (this.#worker) return this.#worker;
    const worker = new Worker(new URL("./pair_worker.ts", import.meta.url), { type: "module" });
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      this.#failure.reject(new TrainingError(`Cannot pair noise with images: ${event.message}`));
    });
    return this.#worker = worker;
  }
}

function isTransport(coupling: Coupling): coupling is TransportCoupling {
  return "batch" in coupling;
}
