/** The engine of a report's page, in this process. */

import assert from "node:assert/strict";
import type { Snapshot } from "../../../models/mod.ts";
import { Engine, type Job } from "../../../viz/report/page/engine.ts";
import type { Steps } from "../../../viz/report/page/trajectory_view.ts";
import * as web from "../../../web/mod.ts";
import { assertClose } from "../../testing.ts";
import { Network } from "./live_data.ts";

const network = await Network.of(3, 1, 3);
const engine = new Engine(web, "a device");
await engine.load(0, network.checkpoint.toBase64(), undefined, undefined);

/** Solves from the noise of a seed; `turn` is called after each snapshot. */
async function solve(seed: number, how: Steps & { readonly label: number }, turn = () => Promise.resolve()) {
  const images: number[][] = [];
  const job: Job<Snapshot> = { emit: ({ image }) => images.push([...image]), turn };
  const { evaluations } = await engine.solve(0, await engine.noise(0, [seed], 0), how, 0, [how.label], job);
  return { evaluations, end: images.at(-1)! };
}

const cases: readonly Pick<Steps, "solver" | "steps" | "tolerance">[] = [
  { solver: "euler", steps: 8 },
  { solver: "dopri5", steps: 4, tolerance: 1e-3 },
];
for (const how of cases) {
  Deno.test(`Engine.solve(): a draw in front changes nothing of one behind, by ${how.solver}`, async () => {
    const [behind, front] = [{ ...how, label: 1, guidance: 2 }, { ...how, label: 2, guidance: 4 }];
    const alone = [await solve(5, behind), await solve(6, front)];
    let drawn: typeof alone[number] | undefined;
    const interrupted = await solve(5, behind, async () => void (drawn ??= await solve(6, front)));
    for (const [i, { evaluations, end }] of [interrupted, drawn!].entries()) {
      assertClose(end, alone[i].end, 1e-6);
      assert.equal(evaluations, alone[i].evaluations);
    }
  });
}
