/// <reference lib="dom" />
import { imageAt } from "../../flow/trajectory.ts";
import type { PageRun } from "../page_data.ts";
import type { Explorer } from "./explorer.ts";
import { type ChosenCondition, guidedBy } from "./live_controls.ts";
import type { LiveGrid } from "./live_grid.ts";
import type { RemoteEngine } from "./remote_engine.ts";
import { countOf, drawnInPage, formatCondition, formatSolver } from "./trajectory_view.ts";
import type { Work } from "./work.ts";

/** The parts of the page that a comparison uses. */
interface Place {
  readonly engine: RemoteEngine;
  readonly explorer: Explorer;
  readonly grid: LiveGrid;
  readonly runs: readonly PageRun[];
  say(words: string): void;
}

/**
 * Draws the current sample from its noise with 1, 2, 4, 8 and 19 evaluations: with steps of a flow map or of Euler's
 * method, and finally with Heun's method, which takes two evaluations per step, and one in the last.
 *
 * @param choice the class, or `all` for the class of the sample; and the guidance
 * @returns the work that draws the row
 */
export function stepComparison({ engine, explorer, grid, runs, say }: Place, choice: ChosenCondition): Work {
  const { run, shown, size, names } = explorer;
  const label = choice.label === "all" ? shown.solved?.label : choice.label;
  const condition = guidedBy(choice, typeof label === "number" ? label : undefined, runs[run]);
  const solver = runs[run].isFlowMap ? "map" : "euler";
  const hows = [
    ...[1, 2, 4, 8].map((steps) => ({ solver, steps, ...condition })),
    { solver: "heun", steps: 10, ...condition },
  ];
  const counts = hows.map(({ solver, steps }) => solver === "heun" ? 2 * steps - 1 : steps);
  const name = shown.name.toLowerCase() + (names.size > 1 ? ` of ${names.get(run)}` : "");
  const [{ buttons, notes }] = grid.prepare([{
    words: `Network evaluations from the noise of ${name}${formatCondition(hows[0])}: ` +
      `steps of ${solver}, and finally 10 of heun`,
    pictures: hows.map((how, n) => ({
      label: `Show ${name} with ${countOf(counts[n])}`,
      title: formatSolver(how),
      under: `${counts[n]}`,
    })),
  }]);
  return async (running) => {
    const started = performance.now();
    for (const [n, how] of hows.entries()) {
      const growing = drawnInPage(shown.name, how, size);
      await engine.solve(run, imageAt(shown, 0), [growing], running);
      const place = { buttons: [buttons[n]], notes };
      const trajectory = growing.view;
      grid.draw(place, imageAt(trajectory, how.steps));
      grid.finish(place, run, [trajectory]);
    }
    say(`${shown.name} with ${counts.join(", ")} evaluations: ${engine.timeSince(started)}.`);
  };
}
