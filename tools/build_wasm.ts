/**
 * Compiles the CPU device's kernels, `kernels/devices/cpu/assembly/` (AssemblyScript), into `binary.ts` beside it.
 *
 * The result is part of the repository, so importers need neither a compiler nor permission to read a file. A test
 * compiles the kernels again and compares.
 *
 * `deno task build:wasm`
 */
import asc from "npm:assemblyscript@0.28.20/asc";

const folder = new URL("../kernels/devices/cpu/assembly/", import.meta.url);

/** Compiles the kernels, with fused multiply-add or without. */
export async function compileKernels({ relaxed }: { relaxed: boolean }): Promise<Uint8Array> {
  let binary: Uint8Array | undefined;
  const { error, stderr } = await asc.main([
    "program.ts",
    ...["--outFile", "kernels.wasm", "-O3", "--noAssert", "--runtime", "stub", "--disableWarning", "112"],
    ...["--enable", `simd,threads,bulk-memory${relaxed ? ",relaxed-simd" : ""}`],
    ...[
      "--importMemory",
      "--sharedMemory",
      "--initialMemory",
      "1",
      "--maximumMemory",
      "65536",
      "--memoryBase",
      "4096",
    ],
  ], {
    readFile: (name: string) => readSource(name),
    writeFile: (_: string, contents: Uint8Array | string) => {
      if (typeof contents !== "string") binary = contents;
    },
    listFiles: () => [],
  });
  if (error || !binary) throw new Error(`Cannot compile the kernels: ${error?.message}\n${stderr}`);
  return binary;
}

async function readSource(name: string): Promise<string | null> {
  try {
    return await Deno.readTextFile(new URL(name, folder));
  } catch {
    return null;
  }
}

/** The module that holds both binaries. */
export async function binaryModule(): Promise<string> {
  const [relaxed, plain] = await Promise.all([true, false].map((relaxed) => compileKernels({ relaxed })));
  return `// Made by \`deno task build:wasm\` from assembly/; do not edit.

/** Kernels for engines with relaxed SIMD: multiply and add are fused. */
export const relaxed =
  "${relaxed.toBase64()}";

/** Kernels for all other engines. */
export const plain =
  "${plain.toBase64()}";
`;
}

if (import.meta.main) {
  await Deno.writeTextFile(new URL("../binary.ts", folder), await binaryModule());
}
