/// <reference lib="dom" />
import type { PageData, PageRun } from "../page_data.ts";
import { expose } from "npm:comlink@4.4.2";
import { unpacked } from "../packing.ts";
import { Clock } from "./clock.ts";
import { ComparisonView } from "./comparison.ts";
import { byId, element } from "./dom.ts";
import { Engine } from "./engine.ts";
import { Explorer } from "./explorer.ts";
import { pageColours } from "./image_panel.ts";
import { inflated } from "./inflate.ts";
import { Live } from "./live.ts";
import { PlaneView } from "./plane_view.ts";
import { RemoteEngine } from "./remote_engine.ts";
import { showGalleries } from "./gallery.ts";
import { prepareForPrint, Views } from "./views.ts";
import { messageOf } from "./remote_worker.ts";

if (globalThis.document) {
  start(document.currentScript!.textContent!).catch((error) => {
    document.body.prepend(
      element("p", { text: `This browser cannot draw the charts in this report: ${error}` }),
    );
  });
} else expose(new Engine());

/**
 * Draws everything on the page.
 *
 * @param program the text of this program, which also runs in the worker
 */
async function start(program: string): Promise<void> {
  const views = new Views();
  prepareForPrint(views);
  views.addCharts();
  letKeysScroll();
  if (document.getElementById("data")) await showData(program, views);
  document.documentElement.dataset.ready = "true";
  await views.drawChartsWhenIdle();
}

/** Shows what depends on the data of runs. */
async function showData(program: string, views: Views): Promise<void> {
  const { runs, comparison, palettes } = unpacked<PageData>({
    data: await inflated(byId("data").textContent!),
    files: await inflated(byId("files").textContent!),
  });
  const colours = pageColours(palettes);
  showGalleries();
  if (document.getElementById("clock")) {
    const clock = new Clock((t) => {
      views.t = t;
      views.changed();
    });
    if (runs.some(({ trajectories }) => trajectories.length > 0)) {
      const explorer = new Explorer(runs, colours, clock, views);
      if (document.getElementById("live")) {
        views.add(
          byId("flow"),
          once(() => startLive(program, runs, explorer, clock)),
        );
      }
    }
    if (runs.some(({ plane }) => plane)) new PlaneView(runs, colours, clock, views);
    if (comparison) new ComparisonView(runs, comparison, colours, clock, views);
    clock.position = 50; // neither noise nor a finished image
  }
}

/** Makes those tables focusable that need scrolling. */
function letKeysScroll(): void {
  const observer = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      (target as HTMLElement).tabIndex = target.scrollWidth > target.clientWidth ? 0 : -1;
    }
  });
  for (const box of document.querySelectorAll(".scroll")) observer.observe(box);
}

/** Wraps a function to act only once. */
function once(act: () => void): () => void {
  let done = false;
  return () => {
    if (!done) act();
    done = true;
  };
}

/**
 * Starts the engine and shows the controls for sampling. If that fails, a line says why, and the rest of the page still
 * works.
 */
async function startLive(
  program: string,
  runs: readonly PageRun[],
  explorer: Explorer,
  clock: Clock,
): Promise<void> {
  const missing = explorer.hasEnds ? ", and can open only the first recorded one" : "";
  const say = (why: unknown) =>
    byId("live-text").textContent = `This page cannot draw new samples${missing}: ${why}.`;
  const [first] = explorer.names.keys();
  if (!document.getElementById("library")) return void say(runs[first].live);
  try {
    const engine = await RemoteEngine.open(program, runs);
    const drawable = [...explorer.names.keys()].filter((run) => typeof runs[run].live === "object");
    await Promise.allSettled(drawable.map((run) => engine.classes(run))); // Live reports why one fails
    new Live(engine, explorer, clock, runs);
  } catch (error) {
    say(messageOf(error));
  }
  document.documentElement.dataset.live = "ready"; // for tests: nothing more happens by itself
}
