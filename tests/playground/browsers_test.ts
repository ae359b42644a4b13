/// <reference lib="dom" />
/** The playground in Chromium, Firefox and WebKit: every control, from a file; and its server, in a narrow window. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { isolation, serveFiles } from "../../experiments/serve.ts";
import { settings } from "../../playground/settings.ts";
import { testInBrowser } from "../browser.ts";
import { withFolder } from "../folder.ts";
import {
  complaintsOf,
  inChromium,
  listener,
  type OpenPage,
  testInOtherBrowsers,
  until,
  type VisitedPage,
} from "../other_browsers.ts";
import { digestInDeno, playground } from "./opened_page.ts";

/** Counts changes of the page. */
const observer = `<script>
globalThis.changes = 0;
new MutationObserver(({ length }) => changes += length)
  .observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
globalThis.picture = ${picture};
</script>`;

/** What the page reports of itself. */
interface Seen {
  /** The number of changes of its document since the count was set to 0. */
  changes: number;
  last: number;
  picture(): string;
  before: string;
  /** The control in use, and whether it was checked before. */
  control: HTMLInputElement;
  checked: boolean;
}
const html = (await playground()).html.replace("<head>", `<head>${listener}${observer}`);

const address = "#steps=60&seed=5&step=follow";
let digest: Promise<string> | undefined;

interface Control {
  readonly selector: string;
  readonly tag: string;
  readonly type: string;
  readonly checked: boolean;
  readonly words: string;
}

/** The usable controls that were not used yet; of similar ones, the first two. */
function newControls(): Control[] {
  const all = document.querySelectorAll<HTMLInputElement>(
    "a[href^='#'], button, select, input, summary, canvas[tabindex]",
  );
  return Array.from(all).flatMap((control, i) => {
    const { tagName: tag, dataset, id } = control;
    const type = control.getAttribute("type") ?? "";
    const kind = control.name || control.closest("#more-controls, #story-links")?.id || control.className ||
      id;
    const alike = document.querySelectorAll(`[data-kind="${tag} ${kind}"]`).length;
    const idle = control.ariaCurrent === "step" ||
      id === "plane" && !/step=(average|follow|few|classes)/.test(location.hash);
    const usable = control.checkVisibility() && !control.disabled;
    const most = type === "number" || control.name === "choice-start" ? 1 : 2; // a second step of 1 may change nothing; a start takes time
    if (!usable || idle || dataset.kind || alike >= most) return [];
    dataset.control = `${i}`;
    if (id !== "plane") dataset.kind = `${tag} ${kind}`;
    const words = `${tag} ${id} ${control.textContent} ${control.value ?? ""}`;
    return [{ selector: `[data-control="${i}"]`, tag, type, checked: control.checked, words }];
  });
}

/** All canvases, scaled down to a picture that is cheap to compare. */
function picture(): string {
  const small = Object.assign(document.createElement("canvas"), { width: 120, height: 120 });
  const context = small.getContext("2d", { willReadFrequently: true })!;
  return Array.from(document.querySelectorAll("canvas"), (canvas) => {
    context.clearRect(0, 0, 120, 120);
    if (canvas.width > 0 && canvas.height > 0) context.drawImage(canvas, 0, 0, 120, 120);
    return context.getImageData(0, 0, 120, 120).data.join();
  }).join();
}

/** Scrolls a control to the middle of the window, and records the page; returns where to press. */
function approach(selector: string, focuses: boolean): [x: number, y: number] {
  const control = document.querySelector<HTMLInputElement>(selector)!;
  const place = control.type === "radio" ? control.parentElement! : control;
  place.scrollIntoView({ block: "center" });
  if (focuses) control.focus();
  const seen = globalThis as unknown as Seen;
  seen.changes = 0;
  seen.before = seen.picture();
  [seen.control, seen.checked] = [control, control.checked];
  const { left, top, width, height } = place.getBoundingClientRect();
  return [left + 0.3 * width, top + 0.4 * height];
}

/** Whether anything has changed since `approach`. */
function hasChanged(): boolean {
  const seen = globalThis as unknown as Seen;
  return seen.changes > 0 || seen.control.checked !== seen.checked || seen.picture() !== seen.before;
}

/** Returns to an address, pauses, and reports whether the page is idle. */
function isQuiet(hash: string): boolean {
  const run = document.getElementById("run")!;
  if (run.textContent === "Pause") run.click();
  if (location.hash !== hash) location.hash = hash;
  const seen = globalThis as unknown as Seen;
  const quiet = location.hash === hash && seen.changes === seen.last &&
    document.getElementById("more-text")!.textContent !== "";
  seen.last = seen.changes;
  return quiet;
}

type Key = Parameters<VisitedPage["press"]>[0];

/** The keys that operate a control. */
function keysOf({ tag, type, words }: Control): readonly Key[] {
  if (tag === "CANVAS") return words.includes("paint") ? [" "] : ["ArrowRight", "Enter"];
  if (tag === "SELECT") return ["ArrowDown"];
  const keys: Readonly<Record<string, readonly Key[]>> = {
    range: ["ArrowLeft"],
    number: ["ArrowUp", "Tab"],
    radio: [" ", "ArrowRight"],
    checkbox: [" "],
  };
  return keys[type] ?? ["Enter"];
}

const small = "#hidden=8&batch=8&steps=1000000"; // minimal computation, without an end

/**
 * Uses every control of the first step and of every other step, by mouse and by keys alternately; each must change
 * something.
 *
 * @param first whether the first control is used by keys; in another browser it is used by mouse
 */
async function useControls(page: VisitedPage, first: boolean): Promise<void> {
  let byKeys = first;
  const steps = Object.keys(settings.step.names!).filter((_, i) => i === 0 || i % 2 === Number(first));
  for (const step of steps) {
    const hash = step === "watch" ? small : `${small}&step=${step}&t=0.4`;
    await until(page, isQuiet, hash);
    if (step === "watch") {
      await page.run(() => (document.getElementById("more") as HTMLDetailsElement).open = true);
    }
    for (const control of await page.run(newControls)) {
      // With a mouse, a list opens a popup, a number field only takes the focus, and a checked radio button stays checked.
      byKeys = !byKeys || control.tag === "SELECT" || control.type === "number" || control.checked;
      const twice = /^SUMMARY|^BUTTON play/.test(control.words); // to restore the state
      for (const keys of twice ? [false, true] : [byKeys]) {
        const place = await page.run(approach, control.selector, keys);
        if (!keys) await page.drag([place]);
        else for (const key of keysOf(control)) await page.press(key);
        await until(page, hasChanged)
          .catch(() => assert.fail(`${control.words} does nothing by ${keys ? "keys" : "mouse"}`));
        if (!twice || keys) await until(page, isQuiet, hash);
      }
    }
  }
}

/** Waits for the training to end, and compares its digest with Deno's. */
async function checkDigest(page: OpenPage): Promise<void> {
  await until(page, () => document.documentElement.dataset.digest);
  assert.equal(
    await page.run(() => document.documentElement.dataset.digest),
    await (digest ??= digestInDeno(address)),
  );
}

/** @param walksByKeys whether to use the first control by keys */
const visit = (page: VisitedPage, walksByKeys: boolean) =>
  withFolder(async (folder) => {
    const file = join(folder, "playground.html");
    await Deno.writeTextFile(file, html);
    await page.resize(1280, 900);
    await page.open(`file://${file}${address}`);
    await checkDigest(page);
    await page.resize(900, 650); // small pictures
    await useControls(page, walksByKeys);
    for (const width of [1280, 500]) {
      await page.resize(width, 900);
      const { scrollWidth, clientWidth } = await page.run(() => {
        const { scrollWidth, clientWidth } = document.documentElement;
        return { scrollWidth, clientWidth };
      });
      assert.equal(scrollWidth, clientWidth, "nothing is wider than the page");
    }
    assert.deepEqual(await complaintsOf(page), []);
  });

// Other tests open the page in Chromium from a file, and use its controls.
await testInBrowser("Chromium: a served playground trains the same weights as Deno", async (browser) => {
  await using server = serveFiles({ page: () => Promise.resolve(html), headers: isolation });
  const page = inChromium(await browser.newPage());
  await page.open(`http://127.0.0.1:${server.addr.port}/playground.html${address}`);
  await checkDigest(page);
  assert.deepEqual(await complaintsOf(page), []);
});
await testInOtherBrowsers(
  "the playground trains the same weights as Deno, and controls of half of its steps work by mouse or by keys",
  (page, browser) => visit(page, browser === "WebKit"),
);
