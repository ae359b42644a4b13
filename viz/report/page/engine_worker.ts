/// <reference lib="dom" />
import { Engine, type Job } from "./engine.ts";
import { messageOf } from "./work.ts";

/** The methods that the page calls: `open`, first and once, and those of the engine. */
type Methods =
  & { open(library: string): Promise<ReturnType<Engine["offered"]>> }
  & Omit<Engine, "library" | "device" | "offered">;
/** The name of a method that the page calls. */
export type Method = keyof Methods;
type Values<M extends Method> = Parameters<Methods[M]>;
/** The arguments of a method without its job. */
export type Arguments<M extends Method> = Values<M> extends [...infer Own, Job<infer _>] ? Own : Values<M>;
/** What a method emits. */
export type Part<M extends Method> = Values<M> extends [...unknown[], Job<infer Own>] ? Own : never;
/** What a method returns. */
export type Result<M extends Method> = Awaited<ReturnType<Methods[M]>>;

/** A message to the worker: a call, or the number of a call to cancel. */
export type ToWorker = {
  readonly id: number;
  readonly method: Method;
  readonly values: readonly unknown[];
  /** Whether the call stands back while there are others. */
  readonly background: boolean;
} | { readonly cancel: number };

/** A message from the worker: a part of the result of a call, or its end. */
export type FromWorker =
  & { readonly id: number }
  & ({ readonly part: unknown } | { readonly result: unknown } | { readonly error: string });

/** A call in progress. */
interface Call {
  readonly background: boolean;
  cancelled: boolean;
}

/** Answers the calls of the page; run it in a worker. */
export function serveEngine(): void {
  const calls = new Map<number, Call>();
  /** Calls in the background that wait until there are no others. */
  const waiting: (() => void)[] = [];
  let engine: Engine | undefined;

  async function turn(call: Call): Promise<void> {
    await yieldToEvents();
    const others = () => [...calls.values()].some(({ background }) => !background);
    while (call.background && !call.cancelled && others()) {
      await new Promise<void>((resolve) => waiting.push(resolve));
    }
    if (call.cancelled) throw new Error("Cancelled");
  }

  async function run(method: Method, values: readonly unknown[], job: Job<unknown>): Promise<unknown> {
    if (method === "open") {
      engine = await Engine.open(values[0] as string);
      return engine.offered();
    }
    return await (engine![method] as (...values: unknown[]) => unknown).call(engine, ...values, job);
  }

  addEventListener("message", async ({ data }: MessageEvent<ToWorker>) => {
    if ("cancel" in data) {
      const call = calls.get(data.cancel);
      if (call) call.cancelled = true;
    } else {
      const { id, method, values, background } = data;
      const call = { background, cancelled: false };
      calls.set(id, call);
      const job = { emit: (part: unknown) => send({ id, part }, part), turn: () => turn(call) };
      try {
        const result = await run(method, values, job);
        send({ id, result }, result);
      } catch (error) {
        send({ id, error: messageOf(error) });
      }
      calls.delete(id);
    }
    for (const resolve of waiting.splice(0)) resolve();
  });
}

/** Sends a message to the page, and moves the arrays of numbers in its content instead of copying them. */
function send(message: FromWorker, content?: unknown): void {
  const values = content instanceof Float32Array ? [content] : Object.values(Object(content));
  const arrays = values.filter((value) => value instanceof Float32Array);
  postMessage(message, { transfer: arrays.map(({ buffer }) => buffer as ArrayBuffer) });
}

/** Lets the worker take messages. */
function yieldToEvents(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => resolve();
    port2.postMessage(undefined);
  });
}
