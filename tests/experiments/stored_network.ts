import { init, withDevice } from "../../kernels/mod.ts";
import { createModel, namedParameters, saveCheckpoint, type UNetModelOptions } from "../../models/mod.ts";
import type { Workplace } from "./cli.ts";

/** Stores a small untrained network, with very different classes if it has any, for images of a size. */
export async function storeNetwork(
  place: Workplace,
  name: string,
  imageSize: readonly [H: number, W: number],
  options: Partial<UNetModelOptions> = {},
): Promise<Uint8Array> {
  const config = { type: "UNet_FM", filters: [4, 8], tEmb: 8, groups: 4, ...options } as const;
  const bytes = await withDevice(await init({ device: "cpu" }), () => {
    const model = createModel(config, 3);
    const labels = namedParameters(model).get("label_emb.weight");
    labels?.write(Float32Array.from({ length: labels.size }, (_, i) => Math.sin(7 * i)));
    return saveCheckpoint(model, { config, normalization: { scale: 2, shift: -1 }, imageSize });
  });
  await Deno.writeFile(place.file(`${name}.safetensors`), bytes);
  return bytes;
}
