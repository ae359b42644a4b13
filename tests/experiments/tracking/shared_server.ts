/** What tests against a real MLflow server share: the server, started once a file, and runs that it mirrors. */

import { testTask, tinyRun, type Workplace } from "../cli.ts";
import { mlflowPython, TestServer } from "./mlflow_server.ts";

const python = await mlflowPython();

/** Why nothing can be mirrored here; undefined where it can. */
export const noServer = typeof python === "string" ? undefined : python.reason;

const started = typeof python === "string" ? await TestServer.start(python) : undefined;
if (started) Deno.test.afterAll(() => started[Symbol.asyncDispose]());

/** The server; only tests that are given no reason to be ignored may ask. */
export function theServer(): TestServer {
  if (started) return started;
  throw new Error(`There is no server: ${noServer}`);
}

/** Flags of a run that also draws samples while it trains. */
export const mirroredRun = `${tinyRun} --out run`.replace("--sample-epochs 0", "--sample-epochs 2");

/** Environment of a program that tries again soon, and has patience with a server on a busy machine. */
export const quick = { MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR: "0.05", MLFLOW_HTTP_REQUEST_TIMEOUT: "60" };

/** An experiment that no other test uses. */
export function newExperiment(): string {
  return `test-${crypto.randomUUID()}`;
}

/** Defines a test in a workplace of its own, with the server. */
export function testMirrored(
  name: string,
  test: (place: Workplace, server: TestServer) => Promise<void>,
): void {
  testTask(name, (place) => test(place, theServer()), noServer);
}

/** Whether a file exists. */
export async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Waits. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Waits until something holds; fails where it does not for so long that no busy machine explains it. */
export async function until(condition: () => Promise<boolean>, complaint: string): Promise<void> {
  const deadline = performance.now() + 300_000;
  while (!await condition()) {
    if (performance.now() > deadline) throw new Error(complaint);
    await pause(20);
  }
}
