import { HeldOutLoss, meanLoss } from "../../models/mod.ts";
import { ImageSource, labelsFor } from "../data/image_source.ts";
import { writeLossByTime } from "../draw/loss_by_time.ts";
import { yieldToSignals } from "../terminal/yield_to_signals.ts";
import { heldOutOptions } from "../settings/tasks/objective.ts";
import type { NetworkArtifact } from "./artifact.ts";

/** The loss on the test images, overall and by t. */
export const testLoss: NetworkArtifact = {
  needs: "network",
  wanted: () => true,
  async write({ run, config, data, source, drawable }) {
    const test = new ImageSource(
      data.test.images,
      data,
      source.normalization,
      labelsFor(config, data.test, data),
    );
    const heldOut = new HeldOutLoss(drawable.model, test, heldOutOptions(config));
    const most = config.testBatches > 0 ? config.testBatches * config.batchSize : Infinity;
    const images = Uint32Array.from({ length: Math.min(data.test.count, most) }, (_, i) => i);
    const losses = await heldOut.losses(images, yieldToSignals);
    await writeLossByTime(run, losses);
    return { test_loss: meanLoss(losses) };
  },
};
