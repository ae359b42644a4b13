import {
  Classifier,
  encodeSafetensors,
  type JudgeInfo,
  randomInitialiser,
  saveJudge,
  stateOf,
} from "../../models/mod.ts";

/** Metadata of an untrained judge. */
export const info: JudgeInfo = {
  name: "lenet",
  ...{ classes: 3, channels: 2, height: 5, width: 4, normalization: { scale: 2, shift: -1 } },
  ...{
    dataDigest: "0123456789abcdef".repeat(4),
    accuracy: 0.25,
    seed: 1,
    steps: 7,
    command: "deno task judge",
  },
};

/** The file of an untrained judge. */
export async function tinyJudge(changes: Partial<JudgeInfo> = {}): Promise<Uint8Array<ArrayBuffer>> {
  const metadata = { ...info, ...changes };
  return saveJudge(await stateOf(new Classifier(metadata, randomInitialiser(metadata.seed))), metadata);
}

const weight = { shape: [1], data: Float32Array.of(1) };

/** A checkpoint file that `decodeCheckpoint` accepts, made without a device; it contains no real network. */
export const smallCheckpoint: Uint8Array<ArrayBuffer> = encodeSafetensors(
  new Map([["a", weight], ["b", weight]]),
  { config: JSON.stringify({ type: "UNet_FM", filters: [2, 4], t_emb: 3 }) },
);
