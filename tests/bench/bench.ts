/** `deno task bench [--json] [--device auto|webgpu|cpu] [--ops] [--networks]`: how fast ops and networks run here. */
import { parseArgs } from "node:util";
import { type DeviceChoice, init } from "../../kernels/mod.ts";
import { benchNetwork, type Case } from "./networks.ts";
import { benchOps } from "./ops.ts";
import type { Measurement } from "./timing.ts";

const cases: readonly Case[] = [
  { model: "base", filters: [16, 32, 64], tEmb: 64, batchSize: 64 },
  { model: "residual", filters: [16, 32, 64], tEmb: 64, batchSize: 64 },
  { model: "residual", filters: [8, 16, 32], tEmb: 64, batchSize: 32 },
];

const { values: { json, device: choice, ops, networks } } = parseArgs({
  args: Deno.args,
  options: {
    json: { type: "boolean", default: false },
    device: { type: "string", default: "auto" },
    ops: { type: "boolean", default: false },
    networks: { type: "boolean", default: false },
  },
});
const both = ops === networks;

const device = await init({ device: choice as DeviceChoice });
const found: Measurement[] = [];
const report = (measurement: Measurement) => {
  found.push(measurement);
  const { name, milliseconds, rate, unit } = measurement;
  if (!json) {
    console.log(
      `${name.padEnd(60)} ${milliseconds.toFixed(2).padStart(9)} ms ${rate.toFixed(1).padStart(9)} ${unit}`,
    );
  }
};
if (!json) console.log(`device: ${device.description}`);
if (both || ops) await benchOps(device, report);
if (both || networks) {
  for (const c of cases) await benchNetwork(device, c, report);
}
if (json) console.log(JSON.stringify({ device: device.description, measurements: found }, null, 2));
device.close();
