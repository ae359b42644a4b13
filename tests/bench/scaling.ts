/**
 * `deno run tests/bench/scaling.ts [--json] [--device auto|webgpu|cpu] [--repetitions N] [--model residual|base] [--vary
 * batch|width|size]`: time of a training step against batch size, width and image size, one of them varied at a time.
 */
import { commonFlags, count, deviceChoice, flagValues, oneOf, openDevice } from "./flags.ts";
import { type Case, nameOf, training } from "./networks.ts";
import { Reporter } from "./report.ts";
import { queued, timeInTurn } from "./timing.ts";

/** A case on images of a size. */
type Row = Case & { readonly imageSize: number };

const values = flagValues({
  ...commonFlags,
  model: { type: "string", default: "residual" },
  vary: { type: "string" },
});
const repetitions = count("repetitions", values.repetitions);
const choice = deviceChoice(values.device);
const middle: Row = {
  model: oneOf("model", values.model, ["base", "residual"]),
  filters: [16, 32, 64],
  tEmb: 64,
  batchSize: 32,
  imageSize: 28,
};
const tables: Record<"batch" | "width" | "size", readonly Row[]> = {
  batch: [8, 16, 32, 64, 128, 256].map((batchSize) => ({ ...middle, batchSize })),
  width: [[8, 16, 32], [16, 32, 64], [32, 64, 128]].map((filters) => ({ ...middle, filters })),
  size: [14, 28, 32, 56].map((imageSize) => ({ ...middle, imageSize })),
};
const axes = ["batch", "width", "size"] as const;
const wanted = values.vary === undefined ? axes : [oneOf("vary", values.vary, axes)];

const probe = await openDevice(choice, values.threads);
const reporter = new Reporter(probe.description, values.json);
probe.close();
for (const axis of wanted) {
  reporter.note(`\nby ${axis}:`);
  for (const row of tables[axis]) {
    const device = await openDevice(choice, values.threads); // one for each row, so that its memory goes with it
    const name = `${axis}: train ${nameOf(row)}, ${row.imageSize} x ${row.imageSize}`;
    const { step } = training(row, row.imageSize);
    const [found] = await timeInTurn(
      [queued(device, name, row.batchSize, "images/s", step)],
      repetitions,
    );
    reporter.add(found);
    device.close();
  }
}
reporter.end();
