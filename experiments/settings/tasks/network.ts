import { integer, integers, optional } from "../kinds.ts";
import type { Values } from "../setting.ts";
import { network, training } from "./train.ts";

const { filters, tEmb, attn, groups, timeEmbedding, path, prediction, normalize } = training.rows;

/** Settings that say of a network what its file does not say. */
export const describing = {
  model: optional({ ...network, doc: "the network" }),
  filters: optional(filters),
  tEmb: optional(tEmb),
  attn: optional(attn),
  groups: optional({ ...groups, doc: `${groups.doc} (else ${groups.default})` }),
  timeEmbedding: optional({ ...timeEmbedding, doc: `${timeEmbedding.doc} (else ${timeEmbedding.default})` }),
  path: optional({ ...path, doc: `${path.doc} (else ${path.default})` }),
  prediction: optional({ ...prediction, doc: `${prediction.doc} (else ${prediction.default})` }),
  channels: optional(integer({ doc: "channels of the images (else 1)", min: 1 })),
  classes: optional(integer({ doc: "number of classes (else 0, none)", min: 1 })),
  imageSize: optional({
    ...integers({ doc: "height and width of the images (else 28,28)" }),
    hint: "H,W",
    expected: "two whole numbers of at least 1, such as 28,28",
    accepts: (value): value is readonly number[] => {
      return Array.isArray(value) && value.length === 2 &&
        value.every((n) => Number.isSafeInteger(n) && n >= 1);
    },
  }),
  normalize: optional({ ...normalize, doc: `${normalize.doc} that the network was trained on` }),
} as const;

/** The line of `--help` above these settings. */
export const describingHeading = "Network, where the file does not say it, such as a PyTorch state dict";

/** What the user says of a network whose file does not say it; null where nothing is said. */
export type NetworkFlags = Values<typeof describing>;
