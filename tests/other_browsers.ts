/// <reference lib="dom" />
/** Firefox and WebKit, opened as their readers have them: Firefox by puppeteer, WebKit by WebDriver. */

import assert from "node:assert/strict";
import type { Page } from "./browser.ts";
import { withFolder } from "./folder.ts";
import { isShort, testUnless } from "./permissions.ts";
import { findOrInstall, firstThatRuns } from "./system_packages.ts";
import { freePort } from "./free_port.ts";

/** A position in a page, in pixels. */
type Point = readonly [x: number, y: number];

/** An open page of any browser. */
export interface OpenPage {
  open(address: string): Promise<void>;
  /** Runs a function in the page, and returns what it returns or promises. */
  run<Values extends readonly unknown[], Result>(
    act: (...values: Values) => Result | Promise<Result>,
    ...values: Values
  ): Promise<Result>;
}

/** An open page of Firefox or WebKit. */
export interface VisitedPage extends OpenPage {
  resize(width: number, height: number): Promise<void>;
  /** Presses the mouse at the first point, and drags it through the others. */
  drag(points: readonly Point[]): Promise<void>;
  /** Only in Chromium: others take longer from one click to the next than Plotly waits when the machine is busy. */
  doubleClick?(point: Point): Promise<void>;
  /** Presses a key of this name, such as `ArrowRight`. */
  press(key: keyof typeof keys): Promise<void>;
}

/** Keys by name, as WebDriver writes them. */
const keys = {
  ArrowLeft: "\ue012",
  ArrowUp: "\ue013",
  ArrowRight: "\ue014",
  ArrowDown: "\ue015",
  Tab: "\ue004",
  Enter: "\ue007",
  " ": " ",
} as const;

/** Notes errors of a page, and the workers that it starts. */
const listener = `<script>
globalThis.complaints = [];
addEventListener("error", ({ message }) => complaints.push(message));
addEventListener("unhandledrejection", ({ reason }) => complaints.push(String(reason)));
console.error = (...words) => complaints.push(words.join(" "));
globalThis.workers = [];
const Own = Worker;
Worker = class extends Own {
  constructor(address) {
    super(address);
    workers.push(String(address));
  }
};
</script>`;

/** A page of Playwright or Puppeteer as a visited page. */
function visited(
  page: Pick<Page, "goto" | "evaluate" | "mouse" | "keyboard">,
  resize: VisitedPage["resize"],
): VisitedPage {
  const { mouse } = page;
  return {
    resize,
    open: async (address) => void await page.goto(address),
    run: async (act, ...values) => await page.evaluate(`(${act})(...${JSON.stringify(values)})`) as never,
    press: (key) => page.keyboard.press(key),
    async drag([[x, y], ...others]) {
      await mouse.move(x, y);
      await mouse.down();
      for (const [x, y] of others) await mouse.move(x, y, { steps: 4 });
      await mouse.up();
    },
  };
}

/** A page in Chromium, like one in another browser. */
export function inChromium(page: Page): VisitedPage {
  const own = visited(page, (width, height) => page.setViewportSize({ width, height }));
  return { ...own, doubleClick: (point) => page.mouse.dblclick(...point) };
}

/**
 * Opens a page from a file, and acts there. Then nothing is wider than a wide and a narrow window, and nothing has failed.
 *
 * @param html with a head, before which the page gets the {@linkcode listener}
 * @param hash the end of the address
 */
export async function useFile(page: VisitedPage, html: string, hash: string, act: () => Promise<void>) {
  await withFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/page.html`, html.replace("<head>", `<head>${listener}`));
    await page.open(`file://${folder}/page.html${hash}`);
    await act();
    for (const width of [1280, 500]) {
      await page.resize(width, 900);
      const over = () => document.documentElement.scrollWidth - document.documentElement.clientWidth;
      await eventually(async () => await page.run(over) === 0, `a page as narrow as ${width} pixels`);
    }
    const complaints = () => (globalThis as unknown as { complaints: string[] }).complaints;
    assert.deepEqual(await page.run(complaints), []);
  });
}

/** Asks every 50 ms until the answer is true. */
export async function eventually(ask: () => Promise<unknown>, about: unknown = ask): Promise<void> {
  for (const end = Date.now() + 120_000; !await ask();) {
    if (Date.now() > end) throw new Error(`Timed out waiting for: ${about}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Calls a function in a page until it returns something true. */
export const until = <Values extends readonly unknown[]>(
  page: OpenPage,
  act: (...values: Values) => unknown,
  ...values: Values
): Promise<void> => eventually(() => page.run(act, ...values), act);

/**
 * Defines a test in Firefox and one in WebKit, except in the short suite; each is ignored, with the reason, if there is
 * no such browser. All tests share the browsers: each gets a page of its own in Firefox, and the only window in WebKit.
 */
export async function testInOtherBrowsers(
  name: string,
  test: (page: VisitedPage, browser: string) => Promise<void>,
) {
  for (const [browser, { program, start }] of Object.entries(isShort ? {} : browsers)) {
    const found = await findOrInstall(program);
    const reason = typeof found === "string" ? undefined : found.reason;
    testUnless(reason, `${browser}: ${name}`, async () => {
      if (!started.has(browser)) started.set(browser, start(found as string));
      const { visit } = await started.get(browser)!;
      await visit((page) => test(page, browser));
    });
  }
}

/** A running browser. */
interface Started {
  /** Calls a function with an empty page. */
  visit(act: (page: VisitedPage) => Promise<void>): Promise<void>;
  close(): Promise<void>;
}

/** The running browsers by name. */
const started = new Map<string, Promise<Started>>();

Deno.test.afterAll(async () => {
  for (const browser of started.values()) await (await browser).close();
});

const browsers = {
  Firefox: {
    program: {
      name: "Firefox",
      packages: ["firefox-esr", "fonts-dejavu-core"],
      find: () => firstThatRuns("/usr/bin/firefox-esr", "/usr/bin/firefox"),
    },
    start: startFirefox,
  },
  WebKit: {
    program: {
      name: "WebKit",
      packages: ["webkit2gtk-driver", "xvfb", "fonts-dejavu-core"],
      find: miniBrowser,
    },
    start: startWebKit,
  },
};

/** Settings without which Firefox starts processes for pages that nobody opens. */
const oneProcess = {
  "dom.ipc.processCount": 1,
  "dom.ipc.processPrelaunch.enabled": false,
  "fission.autostart": false,
};

async function startFirefox(executablePath: string): Promise<Started> {
  const { default: puppeteer } = await import("npm:puppeteer-core@24.20.0");
  const profile = await Deno.makeTempDir({ prefix: "flow-firefox-" });
  const browser = await puppeteer.launch({
    browser: "firefox",
    executablePath,
    headless: true,
    userDataDir: profile,
    extraPrefsFirefox: oneProcess,
  });
  const close = async () => {
    await browser.close();
    await removeProfile(profile);
  };
  return { close, visit };

  async function visit(act: (page: VisitedPage) => Promise<void>): Promise<void> {
    const page = await browser.newPage();
    await act(visited(page as unknown as Page, (width, height) => page.setViewport({ width, height })));
    await page.close();
  }
}

/** Removes a profile, in which the browser's last processes may still write: puppeteer's own retries do nothing in Deno. */
async function removeProfile(folder: string): Promise<void> {
  for (let attempt = 1;; attempt++) {
    try {
      return await Deno.remove(folder, { recursive: true });
    } catch (error) {
      if (attempt === 10) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

const driverProgram = "/usr/bin/WebKitWebDriver";

/** Starts a screen, the driver and the browser. Source: W3C WebDriver 2, of which this is the part in use. */
async function startWebKit(binary: string): Promise<Started> {
  const screen = new Deno.Command("Xvfb", {
    args: ["-displayfd", "1", "-screen", "0", "1400x1000x24"],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const [number] = await screen.stdout.pipeThrough(new TextDecoderStream()).values().next()
    .then(({ value = "" }) => value.split("\n"));
  const port = freePort();
  const env = { DISPLAY: `:${number}` };
  const driver = new Deno.Command(driverProgram, {
    args: [`--port=${port}`],
    env,
    stdout: "null",
    stderr: "null",
  })
    .spawn();
  const call = async (method: "POST" | "DELETE", path: string, body: object = {}) => {
    const headers = { "content-type": "application/json" }; // without it, newer drivers refuse
    const options = method === "POST" ? { method, headers, body: JSON.stringify(body) } : { method };
    const response = await fetch(`http://127.0.0.1:${port}/session${path}`, options);
    const { value } = await response.json();
    if (!response.ok) throw new Error(`WebKit: ${value.error}: ${value.message}`);
    return value;
  };
  const close = async () => {
    for (const child of [driver, screen]) {
      child.kill();
      await child.status;
    }
  };
  const post = (command: string, body: object) => call("POST", `/${sessionId}/${command}`, body);
  const page: VisitedPage = {
    open: (url) => post("url", { url }),
    resize: (width, height) => post("window/rect", { width, height }),
    run: (act, ...args) => post("execute/sync", { script: `return (${act})(...arguments)`, args }),
    drag: ([first, ...others]) => {
      const move = ([x, y]: Point) => ({
        type: "pointerMove",
        duration: 50,
        x: Math.round(x),
        y: Math.round(y),
      });
      const actions = [
        move(first),
        { type: "pointerDown", button: 0 },
        ...others.map(move),
        { type: "pointerUp", button: 0 },
      ];
      return post("actions", { actions: [{ type: "pointer", id: "mouse", actions }] });
    },
    press(key) {
      const actions = ["keyDown", "keyUp"].map((type) => ({ type, value: keys[key] }));
      return post("actions", { actions: [{ type: "key", id: "keyboard", actions }] });
    },
  };
  let sessionId: string;
  try {
    await untilListening(port);
    const alwaysMatch = { "webkitgtk:browserOptions": { binary, args: ["--automation"] } };
    ({ sessionId } = await call("POST", "", { capabilities: { alwaysMatch } }));
  } catch (error) {
    await close();
    throw error;
  }
  return {
    async visit(act) {
      await page.open("about:blank");
      await act(page);
    },
    async close() {
      await call("DELETE", `/${sessionId}`).finally(close);
    },
  };
}

const untilListening = (port: number) =>
  eventually(() =>
    Deno.connect({ hostname: "127.0.0.1", port }).then((open) => (open.close(), true), () => false)
  );

/** The browser that Debian's driver starts, if both are there, and a screen; its folder is named after the machine. */
async function miniBrowser(): Promise<string | undefined> {
  const exists = (path: string) => Deno.stat(path).then(() => true, () => false);
  if (!await exists(driverProgram) || !await exists("/usr/bin/Xvfb")) return undefined;
  for await (const { name } of Deno.readDir("/usr/lib")) {
    const path = `/usr/lib/${name}/webkit2gtk-4.1/MiniBrowser`;
    if (await exists(path)) return path;
  }
}
