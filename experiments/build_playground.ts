import { digitPixels, type DigitsParts, halved } from "../playground/digits_parts.ts";
import { lessonModule, playgroundHtml } from "../playground/playground_html.ts";
import { library } from "../web/flow_text.js";
import { firstIndices, type LabelledImages } from "./data/dataset.ts";
import { rowsOf } from "./data/images.ts";
import { loadDataset } from "./data/load_dataset.ts";
import { say } from "./cli/output.ts";
import { readProgramFile } from "./run/program_files.ts";
import { main, task } from "./cli/task.ts";
import { checkFolderOf, writeAtomic } from "./run/run_folder.ts";
import { outputFile } from "./cli/kinds.ts";
import { defineSettings } from "./cli/settings.ts";

/** Images to train on, and to measure the loss on. */
const [trained, measured] = [3000, 256];

/** The digits of the playground: networks of this checkout, and a few images of MNIST. */
export async function playgroundDigits(): Promise<DigitsParts> {
  const weights = ["mnist_classes", "mnist_one_step", "judge_mnist"].map(async (name) =>
    halved(await readProgramFile(`checkpoints/${name}.safetensors`))
  );
  const [flow, oneStep, judge] = await Promise.all(weights);
  const { train, test } = await loadDataset();
  const first = ({ images, labels }: LabelledImages, count: number) => ({
    images: rowsOf(images, firstIndices(count), digitPixels),
    labels: labels!.subarray(0, count),
  });
  return { flow, oneStep, judge, train: first(train, trained), heldOut: first(test, measured) };
}

/** The playground as one HTML file. */
export async function playgroundPage(): Promise<string> {
  return playgroundHtml({ library, digits: await playgroundDigits() });
}

/** `deno task build:playground`: the playground as a file that works without a server. */
export const buildPlaygroundTask = task({
  name: "build:playground",
  about: "Write the playground: a page that trains a flow and shows why it works, as one file",
  settings: defineSettings({
    out: outputFile([".html", ".js"], {
      doc: "file to write: the page, or a module that defines the element <flow-lesson>",
      default: "playground.html",
    }),
  }),
  async run({ out }) {
    await checkFolderOf(out);
    const isModule = out.endsWith(".js");
    const text = isModule ? lessonModule(library) : await playgroundPage();
    await writeAtomic(out, text);
    const next = isModule ? `use <flow-lesson step="average">` : "open it in a browser";
    say(`${out}: ${(text.length / 1e6).toFixed(2)} MB; ${next}`);
  },
});

if (import.meta.main) await main(buildPlaygroundTask);
