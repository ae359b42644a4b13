// Draws digits for sample_in_page.html: each message is a class, or -1 for all, and a seed.
import { encodePng, imageGrid, init, noise, openCheckpoint, Sampler, tensor } from "../web/flow.js";

const count = 16;

async function load() {
  const device = await init(); // a GPU if the browser has one, otherwise the CPU
  const { model, shape, range } = await openCheckpoint("../checkpoints/mnist_classes.safetensors");
  const condition = tensor(new Uint32Array(count));
  const sampler = new Sampler(model, [count, ...shape], { solver: "heun", steps: 20, condition });
  return { device, shape, range, condition, sampler };
}

const loaded = load();
let drawings = 0;

async function draw({ label, seed }) {
  const drawing = ++drawings;
  const { device, shape, range, condition, sampler } = await loaded;
  condition.write(Uint32Array.from({ length: count }, (_, n) => label < 0 ? n % 10 : label));
  const started = performance.now();
  for await (const { t, image } of sampler.trajectory(noise(seed, [count, ...shape]), { ahead: 1 })) {
    if (drawing !== drawings) return; // there is a newer request
    const words = t < 1
      ? `Sampling, t = ${t.toFixed(2)}`
      : `${count} digits in ${
        Math.round(performance.now() - started)
      } ms on ${device.kind}: ${device.description}`;
    postMessage({ png: encodePng(imageGrid(image, [count, ...shape], { range, scale: 4 })), words });
  }
}

onmessage = ({ data }) => draw(data).catch((error) => postMessage({ words: `${error}` }));
