import { HeldOutLoss, meanLoss } from "../../../models/mod.ts";
import { ImageSource, labelsFor } from "../../data/image_source.ts";
import { binByTime } from "../../artifacts/test_loss.ts";
import { bootstrap } from "../../../models/measures/estimate.ts";
import type { Measurement } from "../trial.ts";

/** Images whose losses are computed at once. */
const batchSize = 64;
/** More test images would not change the figure. */
const most = 10_000;

/** The loss on test images, overall and by t. */
export const losses: Measurement = {
  judged: false,
  sampled: false,
  evaluations: ({ data }) => Math.min(data.test.count, most),
  async measure({ subject: { data, drawable, classes }, options: { seed }, advance }) {
    const test = new ImageSource(
      data.test.images,
      data,
      drawable.normalization,
      labelsFor({ conditional: classes > 0 }, data.test, data),
    );
    const heldOut = new HeldOutLoss(drawable.model, test, { batchSize, seed });
    const images = Uint32Array.from({ length: Math.min(data.test.count, most) }, (_, i) => i);
    let counted = 0;
    const measured = await heldOut.losses(images, async () => {
      const done = Math.min(counted + 16 * batchSize, images.length);
      await advance(done - counted);
      counted = done;
    });
    return {
      figures: { test_loss: bootstrap(meanLoss(measured), measured.loss) },
      lossByTime: binByTime(measured),
    };
  },
};
