import { asJson, examine, type Line, lineText } from "./doctor/examine.ts";
import { thisMachine } from "./doctor/this_machine.ts";
import { runTask } from "./program/command.ts";
import { finite } from "./run/metrics_log.ts";
import { examining } from "./settings/tasks/doctor.ts";
import { print } from "./terminal/output.ts";

await runTask(async () => {
  const flags = examining.parse(Deno.args);
  if (flags.help) {
    print(examining.help("deno task doctor"));
    return;
  }
  const settings = examining.resolve(flags.values);
  using machine = await thisMachine(settings);
  const lines: Line[] = [];
  for await (const line of examine(machine)) {
    if (!settings.json) print(lineText(line));
    lines.push(line);
  }
  const { ok, findings } = asJson(lines);
  if (settings.json) print(JSON.stringify({ ok, findings }, finite, 2));
  if (!ok) Deno.exit(1);
});
