/** What AMD's compiler makes of the kernels for GPUs: Mesa compiles them without a card. */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findOrInstall } from "../../../system_packages.ts";

const driver = "/usr/share/vulkan/icd.d/radeon_icd.json";
const header = "/usr/include/vulkan/vk_layer.h";

/** Why this machine cannot compile for a card it does not have, if so. */
async function obstacle(): Promise<string | undefined> {
  const lacking = [driver, "/usr/bin/cc"].find((path) => !existsSync(path));
  if (lacking !== undefined) return `needs ${lacking}`;
  const found = await findOrInstall({
    name: "Vulkan headers",
    packages: ["libvulkan-dev"],
    find: () => Promise.resolve(existsSync(header) ? header : undefined),
  });
  return typeof found === "string" ? undefined : found.reason;
}
const problem = await obstacle();

/** Most vector registers of a kernel, by its label: with more, fewer groups of lanes share a core than now. */
const mostRegisters: readonly (readonly [label: RegExp, registers: number])[] = [
  [/^(matmul|linear|conv2d)/, 120],
  [/^(winograd|groupNorm)/, 96],
  [/^/, 48],
];

const [layerSource, program] = [
  new URL("./null_device/layer.c", import.meta.url),
  new URL("./null_device/compile.ts", import.meta.url),
].map((url) => fileURLToPath(url));

/** The compiler's numbers of all kernels, by entry point. */
async function compiled(family: string): Promise<ReadonlyMap<string, ReadonlyMap<string, number>>> {
  const folder = await Deno.makeTempDir();
  const [out, library] = ["out", "layer.so"].map((name) => join(folder, name));
  await Deno.mkdir(out);
  await run("cc", ["-O1", "-fPIC", "-shared", layerSource, "-o", library], {});
  const layer = {
    ...{ name: "VK_LAYER_null_device", type: "GLOBAL", library_path: library, api_version: "1.3.0" },
    ...{ implementation_version: "1", description: "Answers for a device that is not there" },
  };
  await Deno.writeTextFile(
    join(folder, "layer.json"),
    JSON.stringify({ file_format_version: "1.2.0", layer }),
  );
  const printed = await run(Deno.execPath(), ["run", "-A", "--quiet", "--no-check", program], {
    ...{ NULL_DEVICE_OUT: out, VK_ADD_LAYER_PATH: folder, VK_INSTANCE_LAYERS: layer.name },
    ...{ VK_DRIVER_FILES: driver, RADV_FORCE_FAMILY: family, MESA_SHADER_CACHE_DISABLE: "true" },
  });
  assert.match(printed, new RegExp(family, "i"), "Vulkan has taken another driver");
  const kernels = new Map<string, ReadonlyMap<string, number>>();
  for (const { name } of Deno.readDirSync(out)) {
    const lines = (await Deno.readTextFile(join(out, name))).trim().split("\n");
    kernels.set(
      name,
      new Map(lines.map((line) => line.split("\t")).map(([key, value]) => [key, Number(value)])),
    );
  }
  await Deno.remove(folder, { recursive: true });
  return kernels;
}

async function run(command: string, args: readonly string[], env: Readonly<Record<string, string>>) {
  const { success, stdout, stderr } = await new Deno.Command(command, { args: [...args], env }).output();
  const [printed, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert.ok(success, `${command} fails:\n${errors}`);
  return printed;
}

Deno.test({
  name: `no kernel of a training step spills registers on AMD's navi31${problem ? ` (${problem})` : ""}`,
  ignore: problem !== undefined,
  async fn() {
    const kernels = await compiled("navi31");
    const spilled = (numbers: ReadonlyMap<string, number>) =>
      ["Spilled VGPRs", "Spilled SGPRs", "Scratch size"].reduce((sum, key) => sum + numbers.get(key)!, 0);
    const labelOf = (entry: string) => entry.replace(/^k\d+_/, "");
    assert.deepEqual(
      [...kernels].filter(([, numbers]) => spilled(numbers) > 0).map(([entry]) => labelOf(entry)),
      [
        "spilling", // the one that must
      ],
    );
    const hungry = [...kernels].filter(([entry, numbers]) => {
      const [, most] = mostRegisters.find(([label]) => label.test(labelOf(entry)))!;
      return labelOf(entry) !== "spilling" && numbers.get("VGPRs")! > most;
    });
    assert.deepEqual(hungry.map(([entry, numbers]) => `${entry}: ${numbers.get("VGPRs")}`), []);
    for (
      const label of ["matmul", "conv2dWeightGradient", "winogradInputs", "groupNormGradient", "adamUpdate"]
    ) {
      assert.ok([...kernels.keys()].some((entry) => labelOf(entry) === label), `${label} was not compiled`);
    }
  },
});
