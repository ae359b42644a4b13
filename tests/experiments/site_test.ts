/// <reference lib="dom" />
/** The website written by `build:site`, and shown by `serve`, in Chromium. */

import assert from "node:assert/strict";
import { join, posix } from "node:path";
import { serveCheckout } from "../../experiments/serve.ts";
import { apiPages } from "../../experiments/site/api_pages.ts";
import { type Read, sitePages } from "../../experiments/site/site_pages.ts";
import { axeComplaints } from "../axe.ts";
import { type Page, testInBrowser } from "../browser.ts";
import { filesBelow } from "../module_graph.ts";
import { bareRun, testTask } from "./cli.ts";

const encoder = new TextEncoder();

/** Builds pages from files. */
const pagesOf = async (files: Readonly<Record<string, string>>) => {
  const read: Read = (path) => Promise.resolve(path in files ? encoder.encode(files[path]) : undefined);
  const { pages, files: copied } = await sitePages(read);
  return {
    copied,
    of: Object.fromEntries(pages.map((page) => [page.path, { ...page, html: page.body.text }])),
  };
};

/** Runs `deno doc` like the task, for the API. */
async function writeApiText(): Promise<void> {
  const root = new URL("../../", import.meta.url);
  const args = ["doc", "mod.ts", "viz/report/mod.ts"];
  const { stdout, success } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: root,
    env: { NO_COLOR: "1" },
  })
    .output();
  assert.ok(success);
  await Deno.mkdir(new URL(".cache", root), { recursive: true });
  await Deno.writeFile(new URL(`.cache/api.txt.${Deno.pid}`, root), stdout);
  await Deno.rename(new URL(`.cache/api.txt.${Deno.pid}`, root), new URL(".cache/api.txt", root));
}

Deno.test("sitePages() follows links from README.md, and turns dead links into text", async () => {
  const gif = String.fromCharCode(...encoder.encode("GIF89a"), 3, 0, 2, 0);
  const { of, copied } = await pagesOf({
    "README.md": "# Top\n\n[a](docs/a.md#two) [none](docs/none.md) [dir](docs) [web](https://example.org/#x)",
    "docs/a.md":
      "# A `b`\n\nFirst. Second.\n\n## Two\n\n[up](../README.md) [own](#two) [code](../x.ts) ![p](p.gif)\n\n## Two",
    "docs/p.gif": gif,
    "docs/unlinked.md": "# Unlinked",
    "x.ts": "const a = '<b>';",
  });
  assert.deepEqual(Object.keys(of), ["index.html", "docs/a.html", "x.ts.html"]);
  assert.deepEqual([...copied.keys()], ["docs/p.gif"]);
  const hrefs = (page: string) => Array.from(of[page].html.matchAll(/href="(.*?)"/g), ([, href]) => href);
  assert.deepEqual(hrefs("index.html"), ["docs/a.html#two", "https://example.org/#x"]);
  assert.match(of["index.html"].html, / none dir /);
  assert.deepEqual(hrefs("docs/a.html"), ["../index.html", "#two", "../x.ts.html"]);
  assert.match(of["docs/a.html"].html, /<img src="p.gif" alt="p" width="3" height="2">/);
  assert.match(of["x.ts.html"].html, /&#39;&#60;b&#62;&#39;/);
  const { title, about, sections } = of["docs/a.html"];
  assert.deepEqual([title, about], ["A b", "First."]);
  assert.deepEqual(sections.map(({ anchor, text }) => [anchor, text.trim()]), [
    ["a-b", "First. Second."],
    ["two", "up own code p"],
    ["two-1", ""],
  ]);
});

Deno.test("apiPages() has each declaration of deno doc once, with text and members separated", () => {
  const interfaceText = "Defined in file:///r/kernels/a.ts:1:1\n\ninterface A extends B\n  Words of A.\n\n" +
    "  readonly x?: number\n    An x.\n\n";
  const functionText =
    "Defined in file:///r/models/b.ts:2:1\n\nasync function a(x: A): Promise<void>\n  Does `a`.\n\n" +
    "  @param x\n      what\n\n";
  const constText = "Defined in file:///r/models/b.ts:9:1\n\nconst plain: number\n  No tags.\n";
  const [kernels, models, viz] = apiPages(
    `Module words\n\n${interfaceText}${functionText}${interfaceText}${constText}`,
  );
  assert.deepEqual(kernels.sections.slice(1).map(({ title }) => title), ["A"]);
  assert.match(
    kernels.body.text,
    /<p>Words of A\.<\/p>\n<pre><code[^>]*>readonly x\?: number\n {2}An x\.\n<\/code>/,
  );
  assert.match(kernels.body.text, /<code>kernels\/a\.ts<\/code>/);
  assert.deepEqual(models.sections.slice(1).map(({ title }) => title), ["a", "plain"]);
  assert.match(models.body.text, /<p>Does <code>a<\/code>\.<\/p>\n<pre><code[^>]*>@param x/);
  assert.match(models.body.text, /<p>No tags\.<\/p>\n<p>In/);
  assert.equal(viz.sections.length, 1);
});

testTask(
  "build:site writes a site without dead links, and rejects a folder with other content",
  async (place) => {
    await writeApiText();
    await place.succeed("train:base", `${bareRun} --out a`);
    await place.succeed("build:site", "a --out site");
    await place.succeed("build:site", "a --out site"); // again
    const below = async (folder: string): Promise<string[]> => {
      const entries = await Array.fromAsync(Deno.readDir(join(place.file("site"), folder)));
      const paths = entries.map(async ({ name, isDirectory }) =>
        isDirectory ? await below(posix.join(folder, name)) : [posix.join(folder, name)]
      );
      return (await Promise.all(paths)).flat();
    };
    const names = await below("");
    const isApp = (name: string) => /^(report|playground)\.html$|^examples\/sample_in/.test(name);
    const pages = new Map<string, { readonly html: string; readonly ids: ReadonlySet<string> }>();
    for (const name of names.filter((name) => name.endsWith(".html"))) {
      const html = new TextDecoder().decode(await place.read("site", name)).replaceAll(
        /<script[\s\S]*?<\/script>/g,
        "",
      );
      pages.set(name, { html, ids: new Set(Array.from(html.matchAll(/ id="([^"]+)"/g), ([, id]) => id)) });
    }
    let followed = 0;
    for (const [name, { html }] of pages) {
      for (const [, href] of html.matchAll(/ (?:href|src)="([^"]*)"/g)) {
        if (/^(\w+:|data:)/.test(href)) continue;
        const [path, anchor] = href.split("#");
        const target = path === "" ? name : posix.join(posix.dirname(name), path);
        assert.ok(names.includes(target), `${name} links ${href}`);
        if (anchor && !isApp(target)) assert.ok(pages.get(target)!.ids.has(anchor), `${name} links ${href}`);
        followed++;
      }
    }
    assert.ok(followed > 1000, `${followed} links`);
    const docs = (await filesBelow("docs/")).filter((path) => path.endsWith(".md"));
    for (
      const page of [...docs.map((path) => path.replace(".md", ".html")), "api/models.html", "search.js"]
    ) {
      assert.ok(names.includes(page), page);
    }
    assert.ok(pages.get("api/models.html")!.ids.has("sample"), "the site has the API");
    assert.match(pages.get("report.html")!.html, /<a href="playground\.html">Playground<\/a><\/nav>/);
    assert.match(pages.get("index.html")!.html, /<a href="report\.html">Report<\/a>/);

    const { stderr: refused } = await place.run("build:site", "a --out a");
    assert.match(
      refused,
      /^RunError: Cannot write a site to a: it holds \S+ \(expected a new or empty folder\)\n$/,
    );
  },
);

await testInBrowser(
  "pages of the site fit, do not shift and are accessible in both colour schemes",
  async (browser) => {
    await using server = serveCheckout();
    const pages = ["", "docs/measures.html", "examples/dit.ts.html"];
    const looks = [["light", 320, [...pages, "docs/index.html", "api/viz.html"]], [
      "dark",
      1280,
      pages,
    ]] as const;
    for (const [colorScheme, width, paths] of looks) {
      const context = await browser.newContext({ colorScheme, viewport: { width, height: 844 } });
      for (const path of paths) {
        const page = await context.newPage();
        const errors: string[] = [];
        page.on("console", (message) => errors.push(message.text()));
        page.on("pageerror", (error) => errors.push(error.message));
        await page.goto(`http://127.0.0.1:${server.addr.port}/${path}`);
        assert.deepEqual(await axeComplaints(page), [], `${path} ${colorScheme}`);
        assert.ok(
          await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth),
          `${path} is too wide`,
        );
        assert.ok(await shiftOf(page) < 0.05, `${path} shifts`);
        assert.deepEqual(errors, [], path);
      }
    }
  },
);

/** The layout shift of a page so far. */
function shiftOf(page: Page): Promise<number> {
  return page.evaluate(() =>
    new Promise((resolve) => {
      let sum = 0;
      new PerformanceObserver((list) => {
        for (const { value } of list.getEntries() as unknown as { value: number }[]) sum += value;
      }).observe({ type: "layout-shift", buffered: true });
      requestAnimationFrame(() => requestAnimationFrame(() => resolve(sum)));
    })
  );
}

await testInBrowser("the search finds words on other pages, using only the keyboard", async (browser) => {
  await using server = serveCheckout();
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${server.addr.port}/docs/data.html`);
  const press = async (...keys: string[]) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  await press("Tab", "Enter");
  assert.match(page.url(), /#content$/, "the first stop skips to the content");
  await page.locator("input").focus();
  await page.keyboard.type("perhaps zzzz");
  await page.waitForFunction(() => document.querySelector("[role=status]")!.textContent === "0 sections");
  await page.locator("input").fill("bits per dimension");
  await page.waitForFunction(() => document.querySelectorAll("#found li").length > 3);
  await page.setViewportSize({ width: 390, height: 844 });
  const { left, right } = await page.locator("#found").evaluate((found) =>
    found.getBoundingClientRect().toJSON()
  );
  assert.ok(left >= 0 && right <= 390, `results from ${left} to ${right} of 390 pixels`);
  await press("Tab", "Escape");
  assert.ok(await page.locator("#found").isHidden());
  await page.locator("input").fill("holm correction");
  await page.waitForFunction(() =>
    document.querySelector("#found li a")?.getAttribute("href")?.includes("study")
  );
  await press("Tab", "Enter");
  await page.waitForURL(/docs\/\w*study\w*\.html#/);
  assert.ok(await page.locator(":target").isVisible());
});
