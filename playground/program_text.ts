import { addressOf, type PlaygroundSettings } from "./settings.ts";

/**
 * A Deno program that trains the page's network to the same bits, and draws dots or digits.
 *
 * @param base the location of the library, ending in a slash: the checkout, or the address of its server, which has no digits
 */
export function programText(settings: PlaygroundSettings, base = "./"): string {
  const digits = settings.step === "digits";
  const from = digits ? "./" : base;
  const remote = /^https?:/.test(from);
  const address = addressOf({ ...settings, device: "cpu" });
  const imports = digits
    ? `import { playgroundDigits } from "./experiments/serve.ts";
import { DigitsTraining } from "./playground/digits_training.ts";
import { openDevice } from "./playground/plane_training.ts";`
    : `import { openDevice, PlaneTraining } from "${from}playground/plane_training.ts"; // the network and its training
import { PlaneViews } from "${from}playground/plane_views.ts";`;
  return `// Trains the network of the playground at ${address}
// ${remote ? "Save it" : "Save it beside the library's mod.ts"} and run it: deno run ${
    remote ? `--allow-import=${new URL(from).host}` : "--allow-read"
  } FILE.ts
${imports}
import { settingsOf } from "${from}playground/settings.ts";
import * as flow from "${from}web/mod.ts";

await openDevice(flow, 1); // the same bits on every machine
const { settings } = settingsOf("${address}");
const training = new ${
    digits ? "DigitsTraining(flow, await playgroundDigits(), " : "PlaneTraining(flow, "
  }settings);
const losses: number[] = [];
while (!training.done) losses.push(...await training.train(1000));
const mean = losses.slice(-200).reduce((sum, loss, _, { length }) => sum + loss / length, 0);
console.log(\`loss \${mean.toFixed(4)}, averaged over the last steps\`);
console.log(await training.digest());
${
    digits
      ? "console.log((await training.draw(() => Promise.resolve())).many); // images f32[11, 10, side, side], from noise to digits"
      : "const { places } = await new PlaneViews(flow, training).dots(settings);\nconsole.log(places.subarray(-1024)); // x and y of 512 dots at t = 1"
  }
`;
}
