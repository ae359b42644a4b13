/** Draws 16 digits to `digits.png`, with the repository's checkpoint or the one at a path or URL. */
import { encodePng, imageGrid, init, openCheckpoint, sample } from "../mod.ts";

await init();
const [source = import.meta.resolve("../checkpoints/mnist_residual.safetensors")] = Deno.args;
const { model, shape, range } = await openCheckpoint(source);
const x1 = sample(model, { count: 16 });
await Deno.writeFile(
  "digits.png",
  encodePng(imageGrid(await x1.read(), [16, ...shape], { range, scale: 4 })),
);
