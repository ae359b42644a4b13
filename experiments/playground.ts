import { DigitsTraining } from "../playground/digits_training.ts";
import { openDevice, PlaneTraining } from "../playground/plane_training.ts";
import { settingsOf } from "../playground/settings.ts";
import * as flow from "../web/mod.ts";
import { playgroundDigits, playgroundPage } from "./build_playground.ts";
import { print, say } from "./cli/output.ts";
import { main, stopSignal, task } from "./cli/task.ts";
import { checkPort, isolation, servePage } from "./serve.ts";
import { integer, line, optional } from "./cli/kinds.ts";
import { ConfigError } from "./cli/setting.ts";
import { defineSettings } from "./cli/settings.ts";

/** `deno task playground`: serves the playground on this machine, or trains what one of its addresses describes. */
export const playgroundTask = task({
  name: "playground",
  about: "Serve a page that trains a flow and shows why it works",
  settings: defineSettings({
    port: integer({ doc: "port on this machine", min: 1, max: 65535, default: 8000 }),
    run: optional(
      line("ADDRESS", "train what a playground address describes, and print a digest of the weights"),
    ),
  }),
  async run({ port, run }) {
    if (run !== null) return await trainAddress(run);
    checkPort(port);
    const server = servePage(await playgroundPage(), { port, headers: isolation });
    print(`http://127.0.0.1:${port}/\n`);
    print("Stop with Ctrl-C");
    using stop = stopSignal(() => server.shutdown());
    await server.finished;
    return stop.exitCode;
  },
});

/** Trains as the page does. @throws {ConfigError} if the settings in the address cannot be trained */
async function trainAddress(address: string): Promise<void> {
  const { settings, problems: found } = settingsOf(address);
  const problems = settings.device === "cpu"
    ? found
    : [...found, "a GPU gives other digests (leave device out)"];
  if (problems.length > 0) throw new ConfigError(`Cannot train ${address}: ${problems.join("; ")}`);
  const device = await openDevice(flow, settings.threads);
  const digits = settings.step === "digits";
  const training = digits
    ? new DigitsTraining(flow, await playgroundDigits(), settings)
    : new PlaneTraining(flow, settings);
  const losses: number[] = [];
  const started = performance.now();
  while (!training.done) losses.push(...await training.train(1000));
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const last = losses.slice(-200);
  const loss = last.reduce((sum, value) => sum + value, 0) / last.length;
  const what = `${training.step} steps on ${digits ? "digits" : settings.data}, seed ${settings.seed}`;
  say(
    `${what}, in ${seconds} s on ${device.description}: loss ${
      loss.toFixed(4)
    }, the mean of the last ${last.length}`,
  );
  print(await training.digest());
  device.close();
}

if (import.meta.main) await main(playgroundTask);
