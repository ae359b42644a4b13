/// <reference lib="dom" />
/** A real Chromium that opens pages as readers do. */

import type { Browser } from "npm:playwright-core@1.65.1";
import { testUnless } from "./permissions.ts";
import { findOrInstall, firstThatRuns } from "./system_packages.ts";

export type { Browser, Frame, Page } from "npm:playwright-core@1.65.1";

/** Finds or installs Chromium. @returns the path of the program, or the reason why there is none */
export function chromium(): Promise<string | { reason: string }> {
  return found ??= findOrInstall({
    name: "Chromium",
    packages: ["chromium", "fonts-dejavu-core"], // without a font, pages have no text
    find: () => firstThatRuns(...places),
  });
}

let found: ReturnType<typeof chromium> | undefined;

/** Where package managers install Chromium. */
const places = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/snap/bin/chromium",
];

/**
 * Defines a test with a browser; it is ignored, with the reason, if there is none. The tests of a program share the
 * browser, which `deno task test` thus starts once, but open pages of their own, in separate contexts.
 *
 * @param name `symbol() what holds`
 * @param test the test; whatever it opens is closed afterwards
 * @param otherReason another reason why the test cannot run here, if there is one
 */
export async function testInBrowser(
  name: string,
  test: (browser: Browser) => Promise<void>,
  otherReason?: string,
): Promise<void> {
  const program = await chromium();
  const reason = otherReason ?? (typeof program === "string" ? undefined : program.reason);
  if (reason === undefined) await opened(program as string);
  testUnless(reason, name, async () => {
    const browser = await opened(program as string);
    try {
      await test(browser);
    } finally {
      await Promise.all(browser.contexts().map((context) => context.close()));
    }
  });
}

/** Longest wait for a start, a load or anything else, in milliseconds; generous, for busy machines. */
const patienceMs = 180_000;

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

let browser: Promise<Browser> | undefined;

Deno.test.afterAll(async () => await (await browser)?.close());

/** Chromium: launched on first use, and again after a crash. */
async function opened(executablePath: string): Promise<Browser> {
  if (!(await browser)?.isConnected()) browser = launch(executablePath);
  return await browser!;
}

/** Launches a Chromium without a GPU, with WebGPU by its software adapter; the caller closes it. */
export async function launch(executablePath: string): Promise<Browser> {
  const { chromium } = await playwright();
  const graphics = ["--disable-gpu", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];
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
