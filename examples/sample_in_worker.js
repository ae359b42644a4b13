// Draws 16 digits in a worker of sample_in_page.html.
import { encodePng, imageGrid, init, openCheckpoint, sample } from "../web/flow.js";

async function draw() {
  const device = await init(); // a GPU if the browser has one, otherwise the CPU
  const { model, shape, range } = await openCheckpoint("../checkpoints/mnist_residual.safetensors");
  const started = performance.now();
  const x1 = await sample(model, { count: 16, shape, seed: 0, steps: 20, solver: "heun" }).read();
  const milliseconds = Math.round(performance.now() - started);
  return {
    png: encodePng(imageGrid(x1, [16, ...shape], { range, scale: 4 })),
    words: `16 digits in ${milliseconds} ms on ${device.kind}: ${device.description}`,
  };
}

postMessage(await draw().catch((error) => ({ words: `${error}` })));
