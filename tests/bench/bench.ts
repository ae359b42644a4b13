/** `deno task bench [--json] [--device auto|webgpu|cpu] [--ops] [--networks]`: how fast ops and networks run here. */
import { parseArgs } from "node:util";
import { init } from "../../kernels/mod.ts";
import { commonFlags, deviceChoice } from "./flags.ts";
import { benchNetwork, cases } from "./networks.ts";
import { benchOps } from "./ops.ts";
import { Reporter } from "./report.ts";

const { values } = parseArgs({
  options: {
    json: commonFlags.json,
    device: commonFlags.device,
    ops: { type: "boolean", default: false },
    networks: { type: "boolean", default: false },
  },
});
const both = values.ops === values.networks;

const device = await init({ device: deviceChoice(values.device) });
const reporter = new Reporter(device.description, values.json);
if (both || values.ops) await benchOps(device, reporter.add);
if (both || values.networks) {
  for (const c of cases) await benchNetwork(device, c, reporter.add);
}
reporter.end();
device.close();
