/// <reference lib="dom" />
import type { Payload } from "../payload.ts";
import { Clock } from "./clock.ts";
import { ComparisonView } from "./comparison.ts";
import { byId } from "./dom.ts";
import { Explorer } from "./explorer.ts";
import { showSolvers } from "./solver_chart.ts";
import { startLive } from "./start_live.ts";
import { PathsView } from "./paths.ts";
import { showCourse } from "./course_charts.ts";
import { showTraining } from "./training_charts.ts";
import { Views } from "./views.ts";

const { runs, comparison, palettes, pacings }: Payload = JSON.parse(byId("payload").textContent!);
const views = new Views();
showTraining(runs, views);
showCourse(runs, views);
showSolvers(runs, views);
if (document.getElementById("clock")) {
  const clock = new Clock(pacings, () => views.changed());
  if (runs.some(({ flow }) => flow)) {
    const explorer = new Explorer(runs, palettes, clock, views);
    if (document.getElementById("live")) {
      views.add(
        byId("flow"),
        once(() => startLive(runs, explorer, clock)),
      );
    }
  }
  if (runs.some(({ paths }) => paths)) new PathsView(runs, palettes, clock, views);
  if (comparison) new ComparisonView(runs, comparison, palettes, clock, views);
  clock.position = 50; // neither noise nor a finished image
}
document.documentElement.dataset.ready = "true";

/** A function that acts only the first time it is called. */
function once(act: () => void): () => void {
  let done = false;
  return () => {
    if (!done) act();
    done = true;
  };
}
