/** Compiles the kernels for GPUs with Mesa's compilers for AMD and NVIDIA, which need no card. */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isShort } from "../../../permissions.ts";
import { findOrInstall } from "../../../system_packages.ts";
import { type Shader, trainingShaders } from "./null_device/training_kernels.ts";

/** A compiler of Mesa: how to run it, and what it reports. */
interface Compiler {
  readonly gpu: string;
  /** The adapter's name. */
  readonly adapter: RegExp;
  /** Files that it needs, and Debian's packages of them. */
  readonly files: readonly string[];
  readonly packages: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Entry points of the shaders to compile: a fast compiler has all. */
  readonly compiles: RegExp;
  /** Its names for values that a kernel keeps outside of registers, and for registers. */
  readonly spills: readonly string[];
  readonly registers: string;
  /**
   * Maximum number of registers of a default kernel, by its label: with more, fewer groups of lanes share a core than
   * now.
   */
  readonly maxRegisters: readonly (readonly [label: RegExp, registers: number])[];
}

const drivers = "/usr/share/vulkan/icd.d", libraries = "/usr/lib/x86_64-linux-gnu";
const shim = `${libraries}/libnouveau_noop_drm_shim.so`;
const compilers: readonly Compiler[] = [
  {
    gpu: "AMD's navi31",
    adapter: /navi31/i,
    files: [`${drivers}/radeon_icd.json`],
    packages: ["mesa-vulkan-drivers"],
    env: { VK_DRIVER_FILES: `${drivers}/radeon_icd.json`, RADV_FORCE_FAMILY: "navi31" },
    compiles: /^/,
    spills: ["Spilled VGPRs", "Spilled SGPRs", "Scratch size"],
    registers: "VGPRs",
    maxRegisters: [[/^(matmul|linear|conv2d)/, 120], [/^(winograd|groupNorm)/, 96], [/^/, 48]],
  },
  {
    gpu: "NVIDIA's GA102",
    adapter: /NVK/,
    files: [`${drivers}/nouveau_icd.json`, shim],
    packages: ["mesa-vulkan-drivers", "mesa-drm-shim"],
    env: {
      ...{ VK_DRIVER_FILES: `${drivers}/nouveau_icd.json`, NVK_I_WANT_A_BROKEN_VULKAN_DRIVER: "1" },
      ...{ LD_PRELOAD: shim, NOUVEAU_CHIPSET: "172" },
    },
    compiles: /^k|spilling/,
    spills: ["SLM Size"],
    registers: "Number of GPRs",
    maxRegisters: [[/^conv2dWeightGradient/, 200], [/^(matmul|linear|conv2d|groupNorm)/, 128], [/^/, 96]],
  },
];

/** Why this machine cannot compile for a card it does not have, if so. */
async function obstacleTo({ gpu, files, packages }: Compiler): Promise<string | undefined> {
  if (!existsSync("/usr/bin/cc")) return "needs /usr/bin/cc";
  const needed = [...files, "/usr/include/vulkan/vk_layer.h"];
  const there = await findOrInstall({
    name: `Mesa for ${gpu}`,
    packages: ["libvulkan-dev", ...packages],
    find: () => Promise.resolve(needed.every((file) => existsSync(file)) ? needed[0] : undefined),
  });
  return typeof there === "string" ? undefined : there.reason;
}

const [layerSource, program] = [
  new URL("./null_device/layer.c", import.meta.url),
  new URL("./null_device/compile.ts", import.meta.url),
].map((url) => fileURLToPath(url));

/** The compiler's numbers of each shader, by entry point. */
async function compiled(
  { adapter, env, compiles }: Compiler,
  all: readonly Shader[],
): Promise<ReadonlyMap<string, ReadonlyMap<string, number>>> {
  const folder = await Deno.makeTempDir();
  const [out, library, texts] = ["out", "layer.so", "shaders.json"].map((name) => join(folder, name));
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
  const shaders = all.filter(({ entry }) => compiles.test(entry));
  await Deno.writeTextFile(texts, JSON.stringify(shaders));
  const printed = await run(Deno.execPath(), ["run", "-A", "--quiet", "--no-check", program, texts], {
    ...{ NULL_DEVICE_OUT: out, VK_ADD_LAYER_PATH: folder, VK_INSTANCE_LAYERS: layer.name },
    ...{ MESA_SHADER_CACHE_DISABLE: "true", ...env },
  });
  assert.match(printed, adapter, "Vulkan chose another driver");
  const numbers = shaders.map(({ entry }) => {
    const lines = Deno.readTextFileSync(join(out, entry)).trim().split("\n").map((line) => line.split("\t"));
    return [entry, new Map(lines.map(([key, value]) => [key, Number(value)]))] as const;
  });
  await Deno.remove(folder, { recursive: true });
  return new Map(numbers);
}

async function run(command: string, args: readonly string[], env: Readonly<Record<string, string>>) {
  const { success, stdout, stderr } = await new Deno.Command(command, { args: [...args], env }).output();
  const [printed, errors] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert.ok(success, `${command} fails:\n${errors}`);
  return printed;
}

let shaders: ReturnType<typeof trainingShaders> | undefined;
for (const compiler of isShort ? [] : compilers) {
  const problem = await obstacleTo(compiler);
  Deno.test({
    name: `no kernel of a training step spills registers on ${compiler.gpu}${problem ? ` (${problem})` : ""}`,
    ignore: problem !== undefined,
    async fn() {
      const { spills, registers, maxRegisters } = compiler;
      const kernels = await compiled(compiler, await (shaders ??= trainingShaders()));
      const spilled = (numbers: ReadonlyMap<string, number>) =>
        spills.reduce((sum, key) => sum + numbers.get(key)!, 0);
      const labelOf = (entry: string) => entry.replace(/^[khc]\d+_/, "");
      assert.deepEqual(
        [...kernels].filter(([, numbers]) => spilled(numbers) > 0).map(([entry]) => labelOf(entry)),
        [
          "spilling", // the one that must
        ],
      );
      const hungry = [...kernels].filter(([entry, numbers]) => {
        const [, most] = maxRegisters.find(([label]) => label.test(labelOf(entry)))!;
        return !entry.startsWith("c") && numbers.get(registers)! > most;
      });
      assert.deepEqual(hungry.map(([entry, numbers]) => `${entry}: ${numbers.get(registers)}`), []);
      for (
        const label of ["matmul", "conv2dWeightGradient", "winogradInputs", "groupNormGradient", "adamUpdate"]
      ) {
        assert.ok([...kernels.keys()].some((entry) => labelOf(entry) === label), `${label} was not compiled`);
      }
    },
  });
}
