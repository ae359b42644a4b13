/// <reference lib="dom" />
import type { RunPayload } from "../payload.ts";
import type { Clock } from "./clock.ts";
import { byId } from "./dom.ts";
import { Engine } from "./engine.ts";
import type { Explorer } from "./explorer.ts";
import { Live } from "./live.ts";

/**
 * Loads the library in the page, opens a device and shows the controls to sample with. Where that is impossible, a line
 * says why, and the page stays as it is.
 */
export async function startLive(
  runs: readonly RunPayload[],
  explorer: Explorer,
  clock: Clock,
): Promise<void> {
  const live = runs.map(({ live }) => live);
  const say = (why: string) => byId("live-text").textContent = `No samples are drawn in this page: ${why}.`;
  const [first] = explorer.names.keys();
  if (!document.getElementById("library")) return void say(live[first]!.notLive!);
  try {
    new Live(await Engine.open(), explorer, clock, live);
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
  }
  document.documentElement.dataset.live = "ready"; // for tests: nothing more will come by itself
}
