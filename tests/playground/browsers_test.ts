/// <reference lib="dom" />
/** The playground in Firefox and WebKit: every kind of control, from a file; and served, in Chromium. */

import assert from "node:assert/strict";
import { isolation, serveFiles } from "../../experiments/serve.ts";
import { testInBrowser } from "../browser.ts";
import {
  eventually,
  inChromium,
  type OpenPage,
  testInOtherBrowsers,
  until,
  useFile,
  type VisitedPage,
} from "../other_browsers.ts";
import { digestInDeno, playground } from "./opened_page.ts";

const { html } = await playground();
const address = "#steps=60&seed=5&step=follow";
let digest: Promise<string> | undefined;

type Key = Parameters<VisitedPage["press"]>[0];

/** A control in a step of the story, and how to use it: by keys, by mouse, or first by one and then by the other. */
type Use = readonly [
  step: string,
  selector: string,
  by: "mouse" | "both" | readonly Key[],
  keys?: readonly Key[],
];

const uses: readonly Use[] = [
  ["follow", "#plane", "both", ["ArrowRight", "Enter"]], // drops a dot
  ["follow", "#drop", "both", ["Enter"]],
  ["follow", "#t", "both", ["ArrowLeft"]],
  ["follow", "#play", "both", ["Enter"]],
  ["follow", "#story-links a:not([aria-current])", "both", ["Enter"]],
  ["average", "#why-mean > summary", "both", ["Enter"]],
  ["average", "#copy button", "both", ["Enter"]],
  ["average", "#plane", "mouse"], // looks elsewhere
  ["few", '[name="choice-moves"]:not(:checked)', "both", [" "]],
  ["random", "#slide-noise", ["ArrowLeft"]],
  ["pair", '[data-step="pair"] .next', "mouse"],
  ["pair", "#another-pair", ["Enter"]],
  ["follow", "#data", ["ArrowDown"]],
  ["follow", "#more > summary", "mouse"],
  ["follow", "#set-hidden", ["ArrowUp", "Tab"]],
  ["follow", "#set-times", ["ArrowDown"]],
  ["follow", "#copy-code", "mouse"],
  ["follow", "#run", "mouse"], // trains on
  ["digits", "#paint", "both", [" "]],
  ["digits", "#paint-eraser", "both", [" "]],
  ["digits", "#paint-label", ["ArrowDown"]],
];

/** The address, the text, all inputs and all pictures of the page. */
function state(): string {
  const inputs = document.querySelectorAll<HTMLInputElement>("input, select, textarea");
  const canvases = document.querySelectorAll("canvas");
  return [
    location.hash,
    document.body.innerText,
    ...Array.from(inputs, ({ value, checked }) => `${value}${checked}`),
    ...Array.from(canvases, (canvas) => canvas.width > 0 ? canvas.toDataURL() : ""),
  ].join();
}

/** Scrolls a control to the middle of the window, and returns where to press. */
function approach(selector: string): [x: number, y: number] {
  const control = document.querySelector<HTMLInputElement>(selector)!;
  const place = control.type === "radio" ? control.parentElement! : control;
  place.scrollIntoView({ block: "center" });
  const { left, top, width, height } = place.getBoundingClientRect();
  return [left + 0.3 * width, top + 0.4 * height];
}

/** Goes to an address, and reports whether nothing moves or trains there. */
function isQuiet(hash: string): boolean {
  const seen = globalThis as unknown as { last: string };
  if (location.hash !== hash) location.hash = hash;
  const { digest, digits } = document.documentElement.dataset;
  const now = (globalThis as unknown as { state(): string }).state();
  const quiet = now === seen.last && location.hash === hash && (hash.includes("digits") ? digits : digest);
  seen.last = now;
  return Boolean(quiet);
}

/** Uses controls; each must change something. */
async function useControls(page: VisitedPage): Promise<void> {
  for (const [step, selector, by, keys = by] of uses) {
    const hash = `#hidden=8&batch=8&steps=20&step=${step}&t=0.4`;
    for (const way of by === "both" ? ["mouse", keys] : [by]) {
      await until(page, isQuiet, hash);
      const place = await page.run(approach, selector);
      if (way !== "mouse") {
        await page.run((selector) => document.querySelector<HTMLElement>(selector)!.focus(), selector);
      }
      const before = await page.run(state);
      if (way === "mouse") await page.drag([place]);
      else for (const key of way as readonly Key[]) await page.press(key);
      await eventually(async () => await page.run(state) !== before, `${selector} by ${way}`);
    }
  }
}

/** Waits for the training to end, and compares its digest with Deno's. */
async function checkDigest(page: OpenPage): Promise<void> {
  const found = () => document.documentElement.dataset.digest;
  await until(page, found);
  assert.equal(await page.run(found), await (digest ??= digestInDeno(address)));
}

// Other tests open the page in Chromium from a file, and use its controls.
await testInBrowser("Chromium: a served playground trains the same weights as Deno", async (browser) => {
  await using server = serveFiles({ page: () => Promise.resolve(html), headers: isolation });
  const page = inChromium(await browser.newPage());
  await page.open(`http://127.0.0.1:${server.addr.port}/playground.html${address}`);
  await checkDigest(page);
});

const page = html.replace("<head>", `<head><script>globalThis.state = ${state};</script>`);
await testInOtherBrowsers(
  "the playground trains the same weights as Deno, and every kind of control works by mouse and by keys",
  async (opened) => {
    await opened.resize(900, 650); // small pictures
    await useFile(opened, page, address, async () => {
      await checkDigest(opened);
      await useControls(opened);
    });
  },
);
