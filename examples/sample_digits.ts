/** Draws 16 digits: `digits.png`, from the checkpoint beside this library or from the one named, a path or URL. */
import { pathToFileURL } from "node:url";
import { encodePng, grid, init, loadCheckpoint, sample } from "../mod.ts";

const [given] = Deno.args;
const source = given === undefined
  ? import.meta.resolve("../checkpoints/mnist_residual.safetensors")
  : URL.canParse(given)
  ? given
  : pathToFileURL(given).href;
const response = await fetch(source);
if (!response.ok) throw new Error(`Cannot read ${source}: ${response.status} ${response.statusText}`);

await init();
const { model, info } = loadCheckpoint(await response.bytes(), source);
const { imageSize, normalization: { scale, shift }, config: { channels = 1 } } = info;
const x1 = sample(model, { count: 16, shape: [channels, ...imageSize], seed: 0, steps: 20, solver: "heun" });
await Deno.writeFile(
  "digits.png",
  encodePng(grid(await x1.read(), [16, ...imageSize], { range: [shift, scale + shift] })),
);
