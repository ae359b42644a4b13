import { asJson, examine, type Line, lineText } from "./doctor/checks.ts";
import { thisMachine } from "./doctor/machine.ts";
import { main, task } from "./program/task.ts";
import { dataSettings } from "./settings/data.ts";
import { finite } from "./run/metrics_log.ts";
import { number, optional, path, toggle } from "./settings/kinds.ts";
import type { Values } from "./settings/setting.ts";
import { defineSettings } from "./settings/settings.ts";
import { shared } from "./settings/shared.ts";
import { network, training } from "./settings/training.ts";
import { print } from "./program/output.ts";

/** Settings of `deno task doctor`: those of a planned run, then two of its own. */
export const examining = defineSettings({
  model: { ...network, default: "residual" },
  preset: optional({
    ...training.rows.preset,
    doc: "preset of the run (else standard on a GPU, quick without)",
  }),
  ...dataSettings,
  mlflow: shared.mlflow,
  experiment: shared.experiment,
  root: { ...path("DIR", "folder where runs would go"), default: "runs" },
  device: shared.device,
  threads: shared.threads,
  seconds: number({ doc: "seconds of training to measure the speed, 0 = none", min: 0, default: 10 }),
  json: toggle({ doc: "print JSON, not lines", default: false }),
});

/** The settings of `deno task doctor` by name. */
export type DoctorConfig = Values<typeof examining.rows>;

/** `deno task doctor`: examines this machine; the exit code is 1 if training cannot start or would not use the GPU. */
export const doctorTask = task({
  name: "doctor",
  about: "Check this machine: what it has, what training would use, and what to fix",
  settings: examining,
  async run(settings) {
    using machine = await thisMachine(settings);
    const lines: Line[] = [];
    for await (const line of examine(machine)) {
      if (!settings.json) print(lineText(line));
      lines.push(line);
    }
    const answer = asJson(lines);
    if (settings.json) print(JSON.stringify(answer, finite, 2));
    return answer.ok ? 0 : 1;
  },
});

if (import.meta.main) await main(doctorTask);
