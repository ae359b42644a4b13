/**
 * Compiles the CPU device's kernels, `kernels/devices/cpu/assembly/` (AssemblyScript), into `compiled_kernels.ts`, and
 * generates `kernel_signatures.ts` from their parameters, as well as their `assembly/dispatch.ts`, which no file holds.
 * Both are in the repository, so importers need neither a compiler nor permission to read files. A test builds them again
 * and compares.
 *
 * `deno task build wasm`
 */
import { deflateRawSync } from "node:zlib";
import asc, { type Transform } from "npm:assemblyscript@0.28.20/asc";
import { Layout } from "../kernels/devices/cpu/memory_layout.ts";
import { dispatchSource, type KernelSource, kernelSources, signaturesModule } from "./kernel_signatures.ts";

const folder = new URL("../kernels/devices/cpu/", import.meta.url);

async function readKernels(): Promise<readonly KernelSource[]> {
  const sources: Record<string, string> = {};
  const files = await Array.fromAsync(Deno.readDir(new URL("assembly/kernels/", folder)), ({ name }) => name);
  for (const name of files.sort()) {
    sources[name] = await Deno.readTextFile(new URL(`assembly/kernels/${name}`, folder));
  }
  const maxWords = (Layout.callBytes - Layout.words) / 4;
  return kernelSources(sources, maxWords, {
    Axis: await readFields("axis.ts"),
    Walk: await readFields("walk.ts"),
  });
}

/** The fields of the class that a file declares. */
async function readFields(name: string): Promise<readonly string[]> {
  const source = await Deno.readTextFile(new URL(`assembly/${name}`, folder));
  return Array.from(source.matchAll(/^ {2}(\w+): i32;$/gm), ([, field]) => field);
}

/** Files in which only small functions are inlined: inlining larger ones costs bytes and saves no time. */
const cold = [
  ...["call", "double_functions", "gemm", "rows", "taps", "kernels/conv_transpose2d"],
  ...["kernels/convolve*", "kernels/copy", "kernels/cross_entropy", "kernels/gather"],
  ...["kernels/layer_norm", "kernels/matmul", "kernels/max", "kernels/optimizer", "kernels/permute"],
  ...["kernels/random", "kernels/reduce", "kernels/resample", "kernels/ternary", "kernels/transcendental"],
];

/**
 * Inlines functions without loops before the compiler's own passes, large ones only outside of the cold files. -O3 would
 * inline them, too, but it also moves instructions in inner loops until more values are live than there are registers.
 */
class InlineHelpers {
  declare readonly binaryen: Transform["binaryen"] & { setPassArgument(pass: string, value: string): void };

  afterCompile(module: { runPasses(passes: string[]): void }): void {
    this.binaryen.setOptimizeLevel(2);
    this.binaryen.setAllowInliningFunctionsWithLoops(false);
    const inline = (size: number) => {
      this.binaryen.setAlwaysInlineMaxSize(size);
      this.binaryen.setOneCallerInlineMaxSize(size);
      module.runPasses(["inlining"]);
    };
    inline(60);
    for (const file of cold) {
      this.binaryen.setPassArgument("no-inline", `assembly/${file}/*`);
      module.runPasses(["no-inline"]);
    }
    inline(300);
  }
}

/** Compiles the kernels, with fused multiply-add or without. */
async function compileKernels(dispatch: string, fused: boolean): Promise<Uint8Array> {
  let binary: Uint8Array | undefined, text = "";
  const { error, stderr } = await asc.main([
    ...["assembly/program.ts", "assembly/dispatch.ts"],
    ...["--outFile", "kernels.wasm", "--textFile", "kernels.wat"],
    ...["-O2", "--noAssert", "--runtime", "stub", "--disableWarning", "112"],
    ...["--enable", `simd,threads,bulk-memory${fused ? ",relaxed-simd" : ""}`],
    ...["--importMemory", "--sharedMemory", "--initialMemory", "1", "--maximumMemory", "65536"],
    ...["--memoryBase", "6144", "--importTable"],
  ], {
    readFile: (name: string) => name === "assembly/dispatch.ts" ? dispatch : readSource(name),
    writeFile: (_: string, contents: Uint8Array | string) => {
      if (typeof contents === "string") text = contents;
      else binary = contents;
    },
    listFiles: () => [],
    // The types require an instance, but the compiler creates it itself.
    transforms: [InlineHelpers as unknown as Transform],
  });
  if (error || !binary) throw new Error(`Cannot compile the kernels: ${error?.message}\n${stderr}`);
  const [root] = /\bf(32|64)\.sqrt\b/.exec(text) ?? [];
  if (root) {
    throw new Error(
      `Cannot build the kernels: one has ${root}, which can be slow; see squareRoot() in simd.ts`,
    );
  }
  return binary;
}

async function readSource(name: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(new URL(name, folder));
  } catch {
    return null;
  }
}

/** Deflated bytes in base64. */
const packed = (bytes: Uint8Array) => deflateRawSync(bytes, { level: 9 }).toString("base64");

/** The generated modules, by file name. */
export async function builtModules(): Promise<Readonly<Record<string, string>>> {
  const kernels = await readKernels();
  const dispatch = dispatchSource(kernels);
  const wasm = async (fused: boolean) => packed(await compileKernels(dispatch, fused));
  return {
    "kernel_signatures.ts": signaturesModule(kernels),
    "compiled_kernels.ts": `// Made by \`deno task build wasm\` from assembly/; do not edit.

/** The kernels, deflated, in base64. */
export const kernels =
  "${await wasm(true)}";

/** The kernels for engines that cannot fuse multiply and add. */
export const unfusedKernels =
  "${await wasm(false)}";
`,
  };
}

/** Writes the generated modules. */
export async function writeModules(): Promise<void> {
  for (const [name, text] of Object.entries(await builtModules())) {
    await Deno.writeTextFile(new URL(name, folder), text);
  }
}
