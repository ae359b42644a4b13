import { type Device, randomNormal, randomUniform, record, scope, tensor } from "../../kernels/mod.ts";
import { createModel, type ModelOptions, Sampler } from "../../models/mod.ts";
import { resolveConfig } from "../../experiments/config.ts";
import { ImageSource } from "../../experiments/image_source.ts";
import { Trainer } from "../../experiments/trainer.ts";
import { type Measurement, timeRuns } from "./timing.ts";

/** Which network at which batch. */
export interface Case {
  readonly model: "base" | "residual";
  readonly filters: readonly number[];
  readonly tEmb: number;
  readonly batchSize: number;
}

/** Times training steps, forward passes and sampling of a network on random images of 28 x 28. */
export async function benchNetwork(
  device: Device,
  c: Case,
  report: (found: Measurement) => void,
): Promise<void> {
  const { model, filters, tEmb, batchSize } = c;
  const name = `${model} [${filters}] T ${tEmb}, batch ${batchSize}`;
  const pixels = Uint8Array.from({ length: batchSize * 784 }, (_, i) => (i * 2654435761) >>> 24);
  const source = new ImageSource(pixels, { height: 28, width: 28 }, { scale: 2, shift: -1 });
  const config = resolveConfig(
    { help: false, values: { model, filters: [...filters], tEmb, batchSize } },
    "quick",
  );
  const trainer = new Trainer(config, source);
  const images = Uint32Array.from({ length: batchSize }, (_, i) => i);
  report(
    await timeRuns(device, `train ${name}`, batchSize, "images/s", () => trainer.queueStep(images, 1e-4)),
  );

  const type: ModelOptions["type"] = model === "residual" ? "UNet_FM_Residuals" : "UNet_FM";
  const network = createModel({ type, filters: [...filters], tEmb }, 1);
  const shape = [batchSize, 1, 28, 28];
  const x = randomNormal(tensor(Uint32Array.of(1, 9, 0)), shape);
  const t = randomUniform(tensor(Uint32Array.of(1, 9, 1)), [batchSize]);
  const forward = record(() => network.velocity(x, t));
  report(await timeRuns(device, `forward ${name}`, batchSize, "images/s", () => forward.run()));

  const steps = 10;
  const sampler = new Sampler(network, shape, { steps, solver: "euler" });
  report(
    await timeRuns(
      device,
      `sample, ${steps} Euler steps, ${name}`,
      batchSize,
      "images/s",
      () => scope(() => void sampler.run(x)),
    ),
  );
}
