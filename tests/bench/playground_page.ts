/// <reference lib="dom" />
/**
 * Prints how fast the page of the playground is in Chromium: when it is painted and starts to train, how long page and
 * worker work, and the longest tasks of the page, in processor time, which other programs hardly change.
 *
 * `deno run -A --lock=tests/deno.lock tests/bench/playground_page.ts`
 */
import type { CDPSession, Page } from "npm:playwright-core@1.65.1";
import { playgroundPage } from "../../experiments/serve.ts";
import { chromium, launch } from "../browser.ts";
import { withFolder } from "../folder.ts";

/** An event of a trace. */
interface TraceEvent {
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  /** Microseconds of processor time. */
  readonly tdur?: number;
  readonly args?: { readonly name?: string };
}

/** Milliseconds of processor time of each task of the page and of its worker, the longest first. */
async function tasksOf(
  client: CDPSession,
  act: () => Promise<unknown>,
): Promise<{ readonly main: readonly number[]; readonly worker: readonly number[] }> {
  const events: TraceEvent[] = [];
  const collect = ({ value }: { value: unknown[] }) => void events.push(...value as TraceEvent[]);
  client.on("Tracing.dataCollected", collect);
  const done = new Promise((resolve) => client.once("Tracing.tracingComplete", resolve));
  await client.send("Tracing.start", {
    transferMode: "ReportEvents",
    traceConfig: { includedCategories: ["toplevel", "disabled-by-default-devtools.timeline"] },
  });
  await act();
  await client.send("Tracing.end");
  await done;
  client.off("Tracing.dataCollected", collect);
  const of = (thread: string) => {
    const named = events.filter(({ name, args }) => name === "thread_name" && args?.name === thread);
    const ids = new Set(named.map(({ pid, tid }) => `${pid} ${tid}`));
    return events.filter(({ name, pid, tid }) => name === "RunTask" && ids.has(`${pid} ${tid}`))
      .map(({ tdur = 0 }) => tdur / 1000).sort((a, b) => b - a);
  };
  return { main: of("CrRendererMain"), worker: of("DedicatedWorker thread") };
}

const sumOf = (tasks: readonly number[]) => Math.round(tasks.reduce((sum, task) => sum + task, 0));

const goTo = (page: Page, hash: string) => page.evaluate((hash) => location.hash = hash, hash);
const untilStep = (page: Page, step: number) =>
  page.waitForFunction((step) => Number(document.documentElement.dataset.step) >= step, step);

/** Actions of the reader, by name. */
const visits: Readonly<Record<string, (page: Page) => Promise<unknown>>> = {
  "trains to step 1,000": (page) => untilStep(page, 1000),
  async "the pointer moves over the fan"(page) {
    await goTo(page, "#step=average&t=0.3");
    const { x, y, width } = (await page.locator("#plane").boundingBox())!;
    for (let i = 0; i < 20; i++) await page.mouse.move(x + width * (0.2 + 0.03 * i), y + width / 2);
  },
  async "the copy learns"(page) {
    await page.locator("#copy").getByRole("button", { name: "all" }).click();
    await page.waitForTimeout(2000);
  },
  async "drops a dot"(page) {
    await goTo(page, "#step=follow");
    await page.locator("#plane").click();
    await page.waitForTimeout(1000);
  },
  async "fewer steps, plays"(page) {
    await goTo(page, "#step=few&moves=4");
    await page.locator("#play").click();
    await page.waitForFunction(() => document.getElementById("play")!.innerText === "Play");
  },
  async "dots wander under contours, plays"(page) {
    await goTo(page, "#step=random&t=0");
    await page.locator("#play").click();
    await page.waitForFunction(() => document.getElementById("play")!.innerText === "Play");
  },
  async "guidance, the pointer moves"(page) {
    await goTo(page, "#step=classes&t=0.5");
    const { x, y, width } = (await page.locator("#plane").boundingBox())!;
    for (let i = 0; i < 20; i++) await page.mouse.move(x + width * (0.2 + 0.03 * i), y + width / 2);
  },
  async "digits are loaded"(page) {
    await goTo(page, "#step=digits");
    await page.waitForFunction(() => document.documentElement.dataset.digits === "0");
  },
  async "digits train, two pictures"(page) {
    await page.locator("#run").click();
    await page.waitForFunction(() => Number(document.documentElement.dataset.digits) > 0);
    const first = await page.evaluate(() => document.documentElement.dataset.digits);
    await page.waitForFunction((first) => document.documentElement.dataset.digits !== first, first);
  },
};

const program = await chromium();
if (typeof program !== "string") throw new Error(program.reason);
const browser = await launch(program);
try {
  await withFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/playground.html`, await playgroundPage());
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
    const client = await page.context().newCDPSession(page);
    const print = (what: string, { main, worker }: Awaited<ReturnType<typeof tasksOf>>) =>
      console.log(
        `${what}: page ${sumOf(main)} ms, longest tasks ${
          main.slice(0, 3).map((task) => task.toFixed(0)).join(", ")
        }; worker ${sumOf(worker)} ms`,
      );
    const started = performance.now();
    const opening = await tasksOf(client, async () => {
      await page.goto(`file://${folder}/playground.html`, { waitUntil: "commit" });
      await untilStep(page, 1);
    });
    const painted = await page.evaluate(() => performance.getEntriesByName("first-paint")[0].startTime);
    const trained = Math.round(performance.now() - started);
    console.log(`painted after ${Math.round(painted)} ms, the first trained picture after ${trained} ms`);
    print("opens, to the first trained picture", opening);
    for (const [what, visit] of Object.entries(visits)) {
      print(what, await tasksOf(client, () => visit(page)));
    }
  });
} finally {
  await browser.close();
}
