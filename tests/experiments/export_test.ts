/** Compares the exported PyTorch module with our networks. */

import assert from "node:assert/strict";
import { full, init, tensor, withDevice } from "../../kernels/mod.ts";
import {
  createModel,
  encodeSafetensors,
  namedParameters,
  noise,
  sample,
  saveCheckpoint,
  type UNetModelOptions,
} from "../../models/mod.ts";
import { meanVelocityOf, velocityOf } from "../../models/flow/field.ts";
import { askPython, pythonHaving } from "../python.ts";
import { assertClose } from "../testing.ts";
import { testTask } from "./cli.ts";
import { assertMistakes, trained } from "./refusals.ts";

const python = await pythonHaving(
  ["torch", "safetensors.torch", "numpy"],
  ["torch>=2.6", "safetensors", "numpy"],
  { minutes: 5 },
);
const noTorch = typeof python === "string" ? undefined : python.reason;

const cases: Readonly<Record<string, Partial<UNetModelOptions>>> = {
  unlabelled: {},
  labelled: { classes: 3, channels: 3 },
  waves: { attn: true, timeEmbedding: "sinusoidal", filters: [4, 8, 8] },
  map: { classes: 2, flowMap: true },
  guided: { classes: 2, flowMap: true, maxGuidance: 3 },
  data: { prediction: "data", path: "cosine", filters: [8] },
  noise: { prediction: "noise" },
};

/** Prints the outputs of the modules in folders for the inputs beside them; also runs the programs in each README. */
const program = `
import importlib.util, json, os, re, sys
import torch; torch.set_num_threads(1)
from safetensors.torch import load_file
found = {}
for folder in sys.argv[1:]:
    os.chdir(folder)
    spec = importlib.util.spec_from_file_location("model", "model.py")
    sys.modules["model"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model, inputs = module.load("weights.safetensors"), load_file("inputs.safetensors")
    x, t, d = inputs["x"], inputs["t"], inputs["d"]
    labels = inputs["labels"].long() if "labels" in inputs else None
    with torch.no_grad():
        outputs = {"velocity": model.velocity(x, t, labels), "none": model.velocity(x, t)}
        outputs["mean"] = model.mean_velocity(x, t, d, labels, 2.5)
    outputs["sample"] = model.sample(steps=3, labels=labels, x=x)
    readme = {}
    for block in re.findall("\`\`\`python\\n(.*?)\`\`\`", open("README.md").read(), re.S):
        exec(re.sub(r"\\b50\\b", "2", block), readme)  # fewer steps
        assert readme["images"].shape == (16, *x.shape[1:])
        assert readme["images"].min() >= 0 and readme["images"].max() <= 1
    found[os.path.basename(folder)] = {k: v.flatten().tolist() for k, v in outputs.items()}
print(json.dumps(found))
`;

testTask("export writes PyTorch modules with the velocities of our networks", async (place) => {
  const expected: Record<string, Record<string, Float32Array>> = {};
  const device = await init({ device: "cpu", threads: 1 });
  for (const [what, options] of Object.entries(cases)) {
    // Networks differ in their blocks, which a few cases show; the rest is common to them.
    const types = ["UNet_FM_Residuals", ...["labelled", "waves"].includes(what) ? ["UNet_FM"] : []] as const;
    for (const type of types as readonly ("UNet_FM" | "UNet_FM_Residuals")[]) {
      const name = `${type}-${what}`;
      const config = { type, filters: [4, 8], tEmb: 8, groups: 2, ...options } as const;
      const { channels = 1, classes = 0, flowMap = false } = config;
      const shape = [5, channels, 7, 10] as const;
      const { bytes, inputs, outputs } = await withDevice(device, async () => {
        const model = createModel(config, 7);
        let seed = 0;
        for (const weights of namedParameters(model).values()) { // some layers start at zero
          const [values, other] = [await weights.read(), await noise(seed++, weights.shape).read()];
          weights.write(values.map((value, i) => value + 0.2 * other[i]));
        }
        const [x, t, d] = [noise(99, shape), tensor([0, 0.2, 0.5, 0.98, 1]), tensor([1, 0.5, 0.25, 0.02, 0])];
        const labels = Uint32Array.from({ length: 5 }, (_, n) => n % (classes + 1));
        const condition = classes > 0 ? tensor(labels) : undefined;
        const guidance = config.maxGuidance === undefined ? undefined : full([5], 2.5);
        const how = { solver: flowMap ? "map" : "euler", steps: 3 } as const;
        const drawn = await sample(model, { x0: x, condition, ...how }).read();
        const given = { x, t, d, ...classes > 0 && { labels: tensor(Float32Array.from(labels)) } };
        const inputs = await Promise.all(
          Object.entries(given).map(async ([key, input]) => {
            return [key, { shape: input.shape, data: await input.read() as Float32Array }] as const;
          }),
        );
        const info = { normalization: { scale: 2, shift: -1 }, imageSize: [7, 10] } as const;
        return {
          bytes: await saveCheckpoint(model, info),
          inputs: encodeSafetensors(new Map(inputs)),
          outputs: {
            velocity: await velocityOf(model, x, t, condition).read(),
            none: await velocityOf(model, x, t).read(),
            ...flowMap && { mean: await meanVelocityOf(model, x, t, d, condition, guidance).read() },
            sample: drawn.map((value) => (value + 1) / 2),
          },
        };
      });
      await Deno.writeFile(place.file(`${name}.safetensors`), bytes);
      await place.succeed("export", `${name}.safetensors --out ${name}`);
      assert.equal((await place.text(name, "README.md")).includes("labels=labels"), classes > 0, name);
      await Deno.writeFile(place.file(name, "inputs.safetensors"), inputs);
      expected[name] = outputs;
    }
  }
  const folders = Object.keys(expected).map((name) => place.file(name));
  type Found = Record<string, Record<string, number[]>>;
  const found = await askPython(python as string, program, ...folders) as Found;
  for (const [name, outputs] of Object.entries(expected)) {
    for (const [what, values] of Object.entries(outputs)) {
      const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      assert.ok(largest > 0.1, `${name}: ${what} is not zero`);
      assertClose(found[name][what], values, 1e-5, `${name}: ${what}`);
    }
  }
}, noTorch);

testTask("export accepts a run, and rejects custom networks and folders in use", async (place) => {
  await trained(place);
  await place.succeed("export", "run --out torch");
  assert.deepEqual(await place.names("torch"), ["README.md", "model.py", "weights.safetensors"]);
  assert.equal(await place.digest("torch/weights.safetensors"), await place.digest("run/ema.safetensors"));
  assert.match(await place.text("torch/README.md"), /task sample.*--guidance 1/s);
  const config = JSON.stringify({ type: "own", name: "mine.ts", options: {}, shape: [1, 4, 4] });
  const own = encodeSafetensors(new Map([["a", { shape: [1], data: Float32Array.of(1) }]]), { config });
  await Deno.writeFile(place.file("own.safetensors"), own);
  await assertMistakes(place, "export", {
    "run --out torch": "RunError: Cannot use torch: it holds ",
    "own.safetensors": "ConfigError: Cannot export own.safetensors: its network mine.ts is a custom one",
  });
});
