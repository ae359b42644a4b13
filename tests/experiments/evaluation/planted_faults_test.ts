import assert from "node:assert/strict";
import { loadDataset } from "../../../experiments/data/load_dataset.ts";
import { type FigureKey, meaningOf } from "../../../experiments/evaluation/figures.ts";
import { judgeSamples } from "../../../experiments/evaluation/judged.ts";
import { judgedData } from "../../../experiments/evaluation/data_judge.ts";
import { judgesOf } from "../../../experiments/evaluation/find_judge.ts";
import { init } from "../../../kernels/mod.ts";
import { materialOf, type PlantedFault, plantedFaults } from "../../../tools/planted_faults.ts";
import { testNeeding } from "../../permissions.ts";

/**
 * The figures that claim to see each fault, according to `docs/judge.md`; those of copies compare with training images.
 */
const seenBy: Readonly<Partial<Record<keyof typeof plantedFaults, readonly FigureKey[]>>> = {
  blur: ["frechet", "vgg/frechet", "kernel", "vgg/kernel"],
  grain: ["vgg/frechet", "vgg/kernel"], // lenet forgives it
  thinning: ["frechet", "vgg/frechet", "kernel", "vgg/kernel"],
  "shifted strokes": ["frechet", "vgg/frechet", "kernel", "vgg/kernel", "asked_class", "vgg/asked_class"],
  "missing class": ["frechet", "vgg/frechet", "class_entropy", "vgg/class_entropy"],
};

testNeeding(
  { read: true },
  "no judge prefers a stronger fault by a figure that claims to see it",
  async () => {
    const device = await init({ device: "cpu" });
    const data = judgedData(await loadDataset());
    const judges = await judgesOf(data, { say: assert.fail });
    const { material, reference } = materialOf(data, 200);
    const clean = await judgeSamples(judges, reference, material.pixels, material.labels);
    for (const [name, keys] of Object.entries(seenBy)) {
      const { plant, strengths }: PlantedFault = plantedFaults[name as keyof typeof plantedFaults];
      const found = [clean];
      for (const strength of strengths.slice(1)) {
        const { pixels, labels } = await plant(material, strength);
        found.push(await judgeSamples(judges, reference, pixels, labels));
      }
      for (const key of keys) {
        const values = found.map((figures) => figures[key]!.value);
        const rising = meaningOf(key).better === "lower" ? values : values.map((value) => -value);
        assert.deepEqual(rising, rising.toSorted((a, b) => a - b), `${key} of ${name}: ${values}`);
        assert.ok(rising[2] > rising[0], `${key} is blind to ${name}`);
      }
    }
    device.close();
  },
);
