/**
 * Walks through noise from one digit to another, `morph.gif`, and redraws digits by the same hand as every other digit,
 * `hands.png`. Takes the path or URL of a checkpoint with classes; by default the repository's.
 */
import * as flow from "../mod.ts";

await flow.init();
const [source = import.meta.resolve("../checkpoints/mnist_classes.safetensors")] = Deno.args;
const { model, shape, range } = await flow.openCheckpoint(source);
const P = shape.reduce((product, length) => product * length, 1);
const field = flow.guided(model, { scale: 1.5, none: flow.noneOf(model) });

/** Follows the flow of states under labels, by default from noise (t = 0) to images (t = 1). */
async function solve(states: readonly Float32Array[], labels: readonly number[], from = 0, to = 1) {
  const x = flow.stack(states.map((state) => flow.tensor(state, shape)));
  const condition = flow.tensor(Uint32Array.from(labels));
  const how = { solver: "heun", steps: 10, batch: 60 } as const;
  const { samples } = await flow.solveFlow(field, x, { ...how, from, to, condition });
  return labels.map((_, n) => samples.subarray(n * P, (n + 1) * P));
}

const drawn = await flow.noise(3, [10, ...shape]).read();
const ends = Array.from({ length: 10 }, (_, n) => drawn.subarray(n * P, (n + 1) * P));

// Between two vectors of noise, slerp() follows the arc: high-dimensional noise lies near a sphere. Each state has the
// class of its nearer end, since between the embeddings of two classes there is often a third.
const shares = Array.from({ length: 24 }, (_, k) => k / 23);
const frames: flow.Picture[] = [];
for (const share of shares) {
  const between = [0, 2, 4, 6, 8].map((n) => flow.slerp(ends[n], ends[n + 1], share));
  const images = await solve(between, [0, 2, 4, 6, 8].map((n) => share <= 0.5 ? n : n + 1));
  frames.push(pictureOf(images, 5));
}
const there = [...frames, ...frames.toReversed()];
await Deno.writeFile("morph.gif", flow.encodeGif(there, flow.colormap("gray"), { delay: 60 }));

// The noise of an image holds how it is written: slant, width, weight. Five digits, mapped back to their noise (from
// t = 0.95, where black pixels still have some), then drawn as every digit. The first column shows the five themselves.
const labels = [0, 1, 2, 3, 4];
const images = await solve(labels.map((n) => ends[n]), labels);
const noisy = images.map((image, n) => image.map((value, i) => 0.95 * value + 0.05 * ends[n + 5][i]));
const back = await solve(noisy, labels, 0.95, 0);
const classes = Array.from({ length: 10 }, (_, label) => label);
const redrawn = await solve(back.flatMap((noise) => classes.map(() => noise)), labels.flatMap(() => classes));
const rows = labels.flatMap((n) => [images[n], ...redrawn.slice(10 * n, 10 * n + 10)]);
await Deno.writeFile("hands.png", flow.encodePng(pictureOf(rows, 11)));

function pictureOf(images: readonly Float32Array[], columns: number) {
  const values = new Float32Array(images.length * P);
  images.forEach((image, n) => values.set(image, n * P));
  return flow.imageGrid(values, [images.length, shape[1], shape[2]], { range, columns, scale: 3, gap: 2 });
}
