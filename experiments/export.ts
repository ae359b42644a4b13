import { dirname, join } from "node:path";
import { init } from "../kernels/mod.ts";
import { type Checkpoint, countParameters } from "../models/mod.ts";
import { type NetworkClasses, readAutoguidance, recordedClassNames } from "./draw/conditioning.ts";
import { defaultGuidance } from "./draw/given_guidance.ts";
import { readWeights } from "./draw/load_network.ts";
import { loadWeights, ownConfigIn } from "./networks/own_network.ts";
import { say } from "./cli/output.ts";
import { main, task } from "./cli/task.ts";
import { checkEmptyFolder, writeAtomic } from "./run/run_folder.ts";
import { readProgramFile } from "./run/program_files.ts";
import { checkpoint, namedWeights } from "./settings/drawing.ts";
import { path } from "./cli/kinds.ts";
import { ConfigError, defineSettings } from "./cli/settings.ts";

const exporting = defineSettings({
  checkpoint,
  out: {
    ...path("FOLDER", "new or empty folder for model.py, the weights and a README"),
    default: "export",
  },
});

/** Writes a U-Net as a PyTorch module. */
export const exportTask = task({
  name: "export",
  about: "Export a U-Net to PyTorch: a module, its weights, and a README",
  words: "FILE|RUN",
  settings: exporting,
  resolve: (values, words) => ({
    ...exporting.resolve(values),
    checkpoint: namedWeights(values.checkpoint, words),
  }),
  async run({ checkpoint, out }) {
    await checkEmptyFolder(out);
    const { path, bytes, run } = await readWeights(checkpoint);
    const own = ownConfigIn(bytes, path);
    if (own) {
      throw new ConfigError(
        `Cannot export ${path}: its network ${own.name} is a custom one (expected a U-Net)`,
      );
    }
    const device = await init({ device: "cpu", threads: 1 });
    const network = await loadWeights(bytes, path); // fails if the weights are not those of the network
    const names = await recordedClassNames(dirname(path), network.info.config.classes ?? 0);
    const isGuided = run !== undefined && await readAutoguidance(run) !== undefined;
    const files = {
      "model.py": await readProgramFile("experiments/networks/model.py"),
      "weights.safetensors": bytes,
      "README.md": readmeOf(path, network, names, isGuided),
    };
    device.close();
    await Deno.mkdir(out, { recursive: true });
    try {
      for (const [name, content] of Object.entries(files)) await writeAtomic(join(out, name), content);
    } catch (error) {
      for (const name of Object.keys(files)) await Deno.remove(join(out, name)).catch(() => {});
      throw error;
    }
    say(`Done; see ${join(out, "README.md")}`);
  },
});

/** How to use the files. @param isGuided whether `sample` guides the network away from early weights */
function readmeOf(
  path: string,
  { model, info: { config }, shape, range: [black, white] }: Checkpoint,
  names: NetworkClasses["names"],
  isGuided: boolean,
): string {
  const { type, classes = 0 } = config;
  const scale = defaultGuidance(model);
  const isMap = model.meanVelocity !== undefined;
  const kind = `${type === "UNet_FM" ? "base" : "residual"} U-Net, ${
    isMap ? "a flow map" : "trained by flow matching"
  }`;
  const named = names?.slice(0, 20).map((name, n) => `${n} is ${name}`).join(", ");
  const which = named ? `Labels: ${named}${classes > 20 ? ", ..." : ""}` : `Labels are 0 to ${classes - 1}`;
  const labels = classes > 0 ? `labels = torch.arange(16) % ${classes}\n` : "";
  const labelArgument = classes > 0 ? ", labels" : "";
  const drawing = [
    "16",
    `steps=${isMap ? 1 : 50}`,
    ...classes > 0 ? ["labels=labels"] : [],
    ...classes > 0 && scale !== 1 ? [`guidance=${scale}`] : [],
  ];
  const velocity = isMap
    ? `model.mean_velocity(x, t, torch.full_like(t, 1 / steps)${labelArgument})`
    : `model.velocity(x, t${labelArgument})`;
  return `# ${path}

\`weights.safetensors\` is a ${kind}, of ${
    countParameters(config).toLocaleString("en")
  } parameters, for images
[${shape.join(", ")}] from ${black} (black) to ${white} (white). \`model.py\` is the network in PyTorch:

\`\`\`sh
pip install torch safetensors
\`\`\`

\`\`\`python
import torch
from model import load

model = load("weights.safetensors")
${labels}images = model.sample(${drawing.join(", ")}).clamp(0, 1)  # [16, ${
    shape.join(", ")
  }], 0 black to 1 white
\`\`\`

The same${classes > 0 && scale !== 1 ? " without guidance" : ""}, written out:

\`\`\`python
steps = ${isMap ? 1 : 50}
x = torch.randn(16, *model.shape)  # noise, t = 0
with torch.no_grad():
    for i in range(steps):
        t = torch.full((len(x),), i / steps)
        x = x + ${velocity} / steps
images = ((x - model.shift) / model.scale).clamp(0, 1)
\`\`\`
${
    classes > 0
      ? `\n${which}. Without labels, or with the label ${classes}, it draws without a class.\n`
      : ""
  }${
    isGuided && classes === 0
      ? "\nThe task sample also guides this network away from its early weights; its `--guidance 1` draws as these lines do.\n"
      : ""
  }
The names of the weights are those of \`model.state_dict()\`.
`;
}

if (import.meta.main) await main(exportTask);
