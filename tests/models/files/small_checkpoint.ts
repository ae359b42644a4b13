import { encodeSafetensors } from "../../../models/mod.ts";

const weight = { shape: [1], data: Float32Array.of(1) };

/** The file of a checkpoint that `decodeCheckpoint` takes, made without a device; it holds no network. */
export const smallCheckpoint: Uint8Array<ArrayBuffer> = encodeSafetensors(
  new Map([["a", weight], ["b", weight]]),
  { config: JSON.stringify({ type: "UNet_FM", filters: [2, 4], t_emb: 3 }) },
);
