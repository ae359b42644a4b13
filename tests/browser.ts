/// <reference lib="dom" />
/** A real Chromium, to open pages in as a reader does. */

import type { Browser } from "npm:playwright-core@1.65.1";
import { testUnless } from "./permissions.ts";
import { findOrInstall, problemOf } from "./system_packages.ts";

export type { Browser, Frame, Page } from "npm:playwright-core@1.65.1";

/** Where the system's package managers put it. */
const PLACES = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/snap/bin/chromium",
];

/** The fonts: without any, a page has no text to look at. */
const PACKAGES = ["chromium", "fonts-dejavu-core"];

let found: Promise<string | { reason: string }> | undefined;

/**
 * Finds or installs Chromium.
 *
 * @returns the program's path, or the reason why there is none
 */
export function chromium(): Promise<string | { reason: string }> {
  return found ??= findOrInstall({ name: "Chromium", packages: PACKAGES, find: firstThatRuns });
}

/**
 * Defines a test that is given a browser, and is ignored with the reason where there is none. The tests of a file share it;
 * each opens pages of its own, which know nothing of each other.
 *
 * @param name `symbol() what holds`
 * @param test what to do; what it opens is closed after it
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
  if (reason === undefined) await opened(program as string, graphics);
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

/** The browsers of this file, by their graphics. */
const browsers = new Map<string, Promise<Browser>>();

Deno.test.afterAll(async () => {
  for (const browser of browsers.values()) await (await browser).close();
});

/** The Chromium of some graphics: opened before the first test that needs it, and again if it has crashed. */
async function opened(executablePath: string, graphics: readonly string[]): Promise<Browser> {
  const key = graphics.join(" ");
  const browser = await browsers.get(key);
  if (browser?.isConnected()) return browser;
  browsers.set(key, launch(executablePath, graphics));
  return await browsers.get(key)!;
}

/** Starts a Chromium of some graphics; who starts it closes it. */
export async function launch(executablePath: string, graphics: readonly string[]): Promise<Browser> {
  const { chromium } = await playwright();
  const args = ["--no-sandbox", "--disable-dev-shm-usage", ...graphics];
  const browser = await chromium.launch({ executablePath, args, timeout: patienceMs });
  const newContext = browser.newContext.bind(browser);
  browser.newContext = async (options) => { // of pages that ask for none, too
    const context = await newContext(options);
    context.setDefaultTimeout(patienceMs);
    return context;
  };
  return browser;
}

/** Visits with the Chromium of some graphics, and closes what the visit has opened. */
async function browse(
  executablePath: string,
  graphics: readonly string[],
  visit: (browser: Browser) => Promise<void>,
): Promise<void> {
  const browser = await opened(executablePath, graphics);
  try {
    await visit(browser);
  } finally {
    await Promise.all(browser.contexts().map((context) => context.close()));
  }
}

/**
 * Loads Playwright, which reads the environment: only tests that may do so load it. It also looks below /proc whether it
 * is on WSL, which Deno refuses without all permissions; the variable puts that off until Playwright opens the user's own
 * browser, which it never does here. The variable stays: test files that run in parallel share one environment.
 */
async function playwright(): Promise<typeof import("npm:playwright-core@1.65.1")> {
  Deno.env.set("__IS_WSL_TEST__", "1");
  return await import("npm:playwright-core@1.65.1");
}

async function firstThatRuns(): Promise<string | undefined> {
  for (const path of PLACES) {
    if (await problemOf([path, "--version"]) === undefined) return path;
  }
}
