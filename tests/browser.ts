/// <reference lib="dom" />
/** A real Chromium, to open pages in as a reader does. */

import { fileURLToPath } from "node:url";
import type { Browser } from "npm:playwright-core@1.65.1";
import { granted, type PermissionName, testUnless } from "./permissions.ts";

export type { Browser, Frame, Page } from "npm:playwright-core@1.65.1";

const NEEDED: PermissionName[] = ["read", "write", "run", "env", "net"];

/** Where the system's package managers put it. */
const PLACES = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/snap/bin/chromium",
];

/** The fonts: without any, a page has no text to look at. */
const PACKAGES = ["chromium", "fonts-dejavu-core"];

const failure = fileURLToPath(new URL("../.cache/chromium-failed", import.meta.url));
const failureCountsMs = 60 * 60_000;

let found: Promise<string | { reason: string }> | undefined;

/**
 * Finds Chromium; on Debian and Ubuntu, as root or with a sudo that asks nothing, installs it where there is none. A
 * failure is remembered for an hour, so that a network that is away costs its time once.
 *
 * @returns the program's path, or the reason why there is none
 */
export function chromium(): Promise<string | { reason: string }> {
  return found ??= findOrInstall();
}

/**
 * Defines a test that is given a browser of its own, and is ignored with the reason where there is none.
 *
 * @param name `symbol() what holds`
 * @param test what to do; the browser is closed after it
 * @param otherReason why the test cannot run here whatever browser there is, if it cannot
 * @param graphics flags of Chromium that say where it draws and computes; by default without a GPU
 */
export async function testInBrowser(
  name: string,
  test: (browser: Browser) => Promise<void>,
  otherReason?: string,
  graphics: readonly string[] = ["--disable-gpu"],
): Promise<void> {
  const program = await chromium();
  const reason = otherReason ?? (typeof program === "string" ? undefined : program.reason);
  testUnless(reason, name, () => browse(program as string, graphics, test));
}

/** Milliseconds that starting, loading or any one wait may take on a busy machine: what comes, mostly comes at once. */
const patienceMs = 600_000;

/** Flags with which Chromium offers WebGPU on the processor, by its own software adapter. */
const software = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];

/** Defines a test as `testInBrowser` does, whose pages have WebGPU; it is ignored where Chromium gives no adapter. */
export async function testInBrowserWithWebGpu(
  name: string,
  test: (browser: Browser) => Promise<void>,
): Promise<void> {
  const program = await chromium();
  let adapter = false;
  if (typeof program === "string") {
    await browse(program, software, async (browser) => {
      const page = await browser.newPage();
      await page.goto(import.meta.resolve("../README.md")); // WebGPU is for pages that have an address
      adapter = await page.evaluate(async () => await navigator.gpu?.requestAdapter() !== null);
    });
  }
  await testInBrowser(name, test, adapter ? undefined : "Chromium gives no WebGPU adapter", software);
}

/** For a page to run before all else: takes away what the library computes on. */
export function withoutDevices(): void {
  Object.defineProperty(navigator, "gpu", { value: undefined });
  WebAssembly.Memory = class {
    constructor() {
      throw new TypeError("no shared memory");
    }
  } as unknown as typeof WebAssembly.Memory;
}

/** Opens a Chromium of some graphics, and closes it after the visit. */
export async function browse(
  executablePath: string,
  graphics: readonly string[],
  visit: (browser: Browser) => Promise<void>,
): Promise<void> {
  const { chromium } = await playwright();
  const args = ["--no-sandbox", "--disable-dev-shm-usage", ...graphics];
  const browser = await chromium.launch({ executablePath, args, timeout: patienceMs });
  const newContext = browser.newContext.bind(browser);
  browser.newContext = async (options) => { // of pages that ask for none, too
    const context = await newContext(options);
    context.setDefaultTimeout(patienceMs);
    return context;
  };
  try {
    await visit(browser);
  } finally {
    await browser.close();
  }
}

/**
 * Loads Playwright, which reads the environment: only tests that may do so load it. It also looks below /proc whether it
 * is on WSL, which Deno refuses without all permissions; the variable puts that off until Playwright opens the user's own
 * browser, which it never does here. The variable stays: test files that run in parallel share one environment.
 */
async function playwright() {
  Deno.env.set("__IS_WSL_TEST__", "1");
  return await import("npm:playwright-core@1.65.1");
}

async function findOrInstall(): Promise<string | { reason: string }> {
  const missing = NEEDED.filter((name) => !granted(name)).map((name) => `--allow-${name}`);
  if (missing.length > 0) return { reason: `needs ${missing.join(" ")}` };
  const there = await firstThatRuns();
  if (there !== undefined) return there;
  const known = await recentFailure();
  if (known !== undefined) return { reason: known };

  if (Deno.env.get("DENOW_NO_INSTALL") === "1") {
    return { reason: "needs Chromium, and DENOW_NO_INSTALL forbids to install one" };
  }
  const problem = await install();
  const program = problem === undefined ? await firstThatRuns() : undefined;
  if (program !== undefined) return program;
  const reason = `needs Chromium, and ${problem ?? "the installed one does not run"}`;
  await Deno.mkdir(fileURLToPath(new URL("../.cache", import.meta.url)), { recursive: true });
  await Deno.writeTextFile(failure, reason);
  return { reason };
}

async function firstThatRuns(): Promise<string | undefined> {
  for (const path of PLACES) {
    if (await run([path, "--version"]) === undefined) return path;
  }
}

async function recentFailure(): Promise<string | undefined> {
  try {
    const { mtime } = await Deno.stat(failure);
    if (Date.now() - (mtime?.getTime() ?? 0) < failureCountsMs) return await Deno.readTextFile(failure);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function install(): Promise<string | undefined> {
  const aptGet = ["apt-get", "-y", "-o", "DPkg::Lock::Timeout=300"];
  const prefix = Deno.uid() === 0 ? [] : ["sudo", "-n"];
  const get = [...prefix, "env", "DEBIAN_FRONTEND=noninteractive", ...aptGet];
  const packages = ["install", "--no-install-recommends", ...PACKAGES];
  console.error("Installing Chromium for the tests of pages");
  // A fresh container has no package lists, an old one lists of packages long gone: both are cured by an update.
  if (await run([...get, ...packages]) === undefined) return undefined;
  return await run([...get, "update"]) ?? await run([...get, ...packages]);
}

/** Runs a command; returns what went wrong in one line, or undefined. */
async function run([program, ...args]: string[]): Promise<string | undefined> {
  try {
    const options = { args, stdin: "null", stdout: "null", stderr: "piped" } as const;
    const { success, stderr } = await new Deno.Command(program, options).output();
    if (success) return undefined;
    const name = args.find((arg) => arg === "install" || arg === "update") ?? "";
    return `apt-get ${name} failed: ${new TextDecoder().decode(stderr).trim().split("\n").at(-1)}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return `there is no ${program} to install one with`;
    throw error;
  }
}
