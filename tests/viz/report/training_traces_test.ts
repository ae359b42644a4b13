import assert from "node:assert/strict";
import { logTicks } from "../../../viz/report/page/log_ticks.ts";
import { lineOf, lossTraces } from "../../../viz/report/page/loss_traces.ts";
import { payloadOf } from "../../../viz/report/payload_of.ts";
import { run } from "./made_up.ts";

Deno.test("logTicks() are at 1, 2 and 5 where two of them are in sight, else Plotly's own", () => {
  assert.deepEqual(logTicks([0.1, 3, NaN]), { dtick: "D2" });
  assert.deepEqual(logTicks([0.2, 1.02]), { dtick: "D2" });
  assert.deepEqual(logTicks([0.7, 1.6, 0]), {});
  assert.deepEqual(logTicks([1]), {});
  assert.deepEqual(logTicks([]), {});
});

Deno.test("lossTraces() shows a single loss as a point", () => {
  const { runs } = payloadOf({
    runs: [run("many"), run("one", { trainLoss: { step: [20], value: [0.5] } })],
  });
  const modes = runs.map((run) =>
    lossTraces(run, true, { color: "", dash: "", width: 2 }).map(({ mode }) => mode)
  );
  assert.deepEqual(modes, [["lines", "lines", "markers"], ["lines", "lines+markers", "markers"]]);
  assert.deepEqual(lineOf({ step: [20], value: [0.001] }), { x: [20], y: [0.001], mode: "lines+markers" });
});
