import type { Picture } from "../../../viz/image/picture.ts";

/** A picture whose pixels are scattered over the palette, otherwise for each seed. */
export function scatter(width: number, height: number, seed = 0): Picture {
  const pixels = Uint8Array.from({ length: width * height }, (_, i) => ((i + seed) * 2_654_435_761) >>> 13);
  return { width, height, pixels };
}
