/**
 * `deno task bench [--json] [--device auto|webgpu|cpu] [--ops] [--networks] [--shares] [--roofline] [--precision f16]`:
 * speed of ops and networks, and each op's share of a training step; by default all three. With `--roofline`, each op's
 * time, bytes and arithmetic beside the limits of the device.
 */
import { commonFlags, deviceChoice, flagValues, oneOf, openDevice, titleOf } from "./flags.ts";
import { benchNetwork, cases, nameOf, training } from "./networks.ts";
import { benchOps } from "./ops.ts";
import { Reporter } from "./report.ts";
import { reportBounds, reportRoofline } from "./roofline.ts";
import { sharesOf } from "./shares.ts";

const values = flagValues({
  json: commonFlags.json,
  device: commonFlags.device,
  threads: commonFlags.threads,
  ops: { type: "boolean", default: false },
  networks: { type: "boolean", default: false },
  shares: { type: "boolean", default: false },
  roofline: { type: "boolean", default: false },
  precision: { type: "string", default: "f32" },
});
const all = !values.ops && !values.networks && !values.shares && !values.roofline;
const precision = oneOf("precision", values.precision, ["f32", "f16"]);
const open = () => openDevice(deviceChoice(values.device), values.threads);

const device = await open();
const reporter = new Reporter(await titleOf(device), values.json);
if (all || values.ops) await benchOps(device, reporter.add);
device.close();
for (const c of all || values.networks ? cases : []) await benchNetwork(open, { ...c, precision }, reporter);
if (all || values.shares) {
  const residual = { ...cases[1], precision };
  const own = await open();
  const { step } = training(residual);
  for (const { name, calls, share } of await sharesOf(own, step, 1)) {
    reporter.fact(`share of train ${nameOf(residual)}: ${name}, ${calls} calls`, 100 * share, "%");
  }
  own.close();
}
if (values.roofline) {
  const own = await open();
  const bounds = await reportBounds(own, reporter);
  for (const c of cases.slice(0, 2)) await reportRoofline(own, { ...c, precision }, bounds, reporter);
  own.close();
}
reporter.end();
