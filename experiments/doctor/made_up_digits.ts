import type { Dataset } from "../data/dataset.ts";

const count = 1024;
const size = 28;
const classes = 10;

/** Images of the size and the classes of MNIST, for timing where there is no data; their pixels do not change the time. */
export function madeUpDigits(): Dataset {
  const images = new Uint8Array(count * size * size);
  for (let i = 0; i < images.length; i++) images[i] = Math.imul(i, 2654435761) >>> 24;
  const labels = Uint8Array.from({ length: count }, (_, i) => i % classes);
  const all = { images, labels, count };
  return {
    ...{ name: "made-up digits", digest: "", source: "this program" },
    ...{ train: all, test: all, channels: 1, height: size, width: size, classes },
  };
}
