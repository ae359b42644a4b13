/// <reference lib="dom" />
/** A real Chromium that opens pages as readers do. */

import type { Browser } from "npm:playwright-core@1.65.1";
import { testUnless } from "./permissions.ts";
import { findOrInstall, problemOf } from "./system_packages.ts";

export type { Browser, Frame, Page } from "npm:playwright-core@1.65.1";

/** Where package managers install Chromium. */
const PLACES = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/snap/bin/chromium",
];

/** Chromium and fonts; without a font, pages have no text. */
const PACKAGES = ["chromium", "fonts-dejavu-core"];

let found: Promise<string | { reason: string }> | undefined;

/**
 * Finds or installs Chromium.
 *
 * @returns the path of the program, or the reason why there is none
 */
export function chromium(): Promise<string | { reason: string }> {
  return found ??= findOrInstall({ name: "Chromium", packages: PACKAGES, find: firstThatRuns });
}

/**
 * Defines a test with a browser; it is ignored, with the reason, if there is none. The tests of a file share the
 * browser but open pages of their own, in separate contexts.
 *
 * @param name `symbol() what holds`
 * @param test the test; whatever it opens is closed afterwards
 * @param otherReason another reason why the test cannot run here, if there is one
 * @param graphics flags for Chromium's graphics; by default without a GPU
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

/** Longest wait for a start, a load or anything else, in milliseconds; generous, for busy machines. */
const patienceMs = 180_000;

/** Flags for WebGPU on the processor, by Chromium's software adapter. */
const software = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];

/** Defines a test like `testInBrowser` whose pages have WebGPU; ignored if Chromium has no adapter. */
export async function testInBrowserWithWebGpu(
  name: string,
  test: (browser: Browser) => Promise<void>,
): Promise<void> {
  const program = await chromium();
  let adapter = false;
  if (typeof program === "string") {
    await browse(program, software, async (browser) => {
      const page = await browser.newPage();
      await page.goto(import.meta.resolve("../README.md")); // WebGPU needs a page with an address
      adapter = await page.evaluate(async () => await navigator.gpu?.requestAdapter() !== null);
    });
  }
  await testInBrowser(name, test, adapter ? undefined : "Chromium gives no WebGPU adapter", software);
}

/**
 * Script that runs first in a page or worker: removes everything that the library could compute on, also in workers
 * whose program comes from the page.
 */
export function withoutDevices(): void {
  const remove = () => {
    Object.defineProperty(navigator, "gpu", { value: undefined });
    WebAssembly.Memory = class {
      constructor() {
        throw new TypeError("no shared memory");
      }
    } as unknown as typeof WebAssembly.Memory;
  };
  remove();
  const { createObjectURL } = URL;
  URL.createObjectURL = (program: Blob) => {
    const { type } = program;
    return createObjectURL(
      type === "text/javascript" ? new Blob([`(${remove})();`, program], { type }) : program,
    );
  };
}

/** The browsers of this file, by graphics flags. */
const browsers = new Map<string, Promise<Browser>>();

Deno.test.afterAll(async () => {
  for (const browser of browsers.values()) await (await browser).close();
});

/** The Chromium for graphics flags: launched on first use, and again after a crash. */
async function opened(executablePath: string, graphics: readonly string[]): Promise<Browser> {
  const key = graphics.join(" ");
  const browser = await browsers.get(key);
  if (browser?.isConnected()) return browser;
  browsers.set(key, launch(executablePath, graphics));
  return await browsers.get(key)!;
}

/** Launches a Chromium with graphics flags; the caller closes it. */
export async function launch(executablePath: string, graphics: readonly string[]): Promise<Browser> {
  const { chromium } = await playwright();
  const args = ["--no-sandbox", "--disable-dev-shm-usage", ...graphics];
  const browser = await chromium.launch({ executablePath, args, timeout: patienceMs });
  const newContext = browser.newContext.bind(browser);
  browser.newContext = async (options) => { // also for pages opened without a context
    const context = await newContext(options);
    context.setDefaultTimeout(patienceMs);
    return context;
  };
  return browser;
}

/** Runs a visit in Chromium, and closes what the visit opened. */
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
 * Loads Playwright on demand, because it reads the environment, which only some tests may. It also searches /proc for
 * signs of WSL, which Deno refuses without all permissions. The variable postpones that until Playwright opens the
 * user's own browser, which never happens here. The variable stays set, since test files that run in parallel share one
 * environment.
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
