/**
 * Reads the parameters of the WebAssembly kernels from their sources and generates the table that the host lays out
 * calls with, and the code that reads them in threads.
 */

/** An exported function of `kernels/devices/cpu/assembly/kernels/`. */
interface ExportedFunction {
  readonly name: string;
  readonly file: string;
  readonly parameters: readonly (readonly [name: string, type: string])[];
  readonly result: string;
}

/** A kernel with its parameters. */
export interface KernelSource extends ExportedFunction {
  /** Whether it takes the address of the workspace. */
  readonly workspace: boolean;
  /** The parameters that the host sets, in order, and the words of a call that hold them: one, or one for each field. */
  readonly given: ExportedFunction["parameters"];
  readonly words: ExportedFunction["parameters"];
  /** The function that returns the bytes of workspace it needs. */
  readonly size?: ExportedFunction;
}

/** Where `deno fmt` breaks lines. */
const lineWidth = 110;

/** How a thread reads an argument of each type. */
const readers: Readonly<Record<string, string>> = {
  usize: "pointer",
  i32: "integer",
  f32: "real",
  Axis: "axis",
};

function exportedFunctions(file: string, source: string): ExportedFunction[] {
  const declared = source.matchAll(/^export function (\w+)\(([^)]*)\): (\w+)/gm);
  return Array.from(declared, ([, name, list, result]) => ({
    name,
    file,
    result,
    parameters: Array.from(
      list.matchAll(/(\w+): (\w+)/g),
      ([, parameter, type]) => [parameter, type] as const,
    ),
  }));
}

/**
 * Finds the kernels in sources: every exported `name(call, workspace?, ...): void`. A kernel with `workspace` needs
 * `nameWorkspace(...): u64` beside it, which returns its size in bytes from any arguments and the number of `threads`.
 *
 * @param sources text of each file by name
 * @param maxWords words of arguments that fit a call
 * @param fieldsOf fields of parameters that are classes of numbers, i32 each, by class
 * @throws {Error} if an exported function is neither, or a call cannot hold the arguments of a kernel
 */
export function kernelSources(
  sources: Readonly<Record<string, string>>,
  maxWords: number,
  fieldsOf: Readonly<Record<string, readonly string[]>> = {},
): readonly KernelSource[] {
  const functions = Object.entries(sources).flatMap(([file, text]) => exportedFunctions(file, text));
  const sizes = new Map(functions.filter(({ result }) => result === "u64").map((size) => [size.name, size]));
  const kernels = functions.filter(({ result }) => result !== "u64").map((kernel) => {
    const { name, file, parameters, result } = kernel;
    const refuse = (why: string): never => {
      throw new Error(`Cannot build kernel ${name} of ${file}: ${why}`);
    };
    const workspace = parameters[1]?.[0] === "workspace";
    const given = parameters.slice(workspace ? 2 : 1);
    const words = given.flatMap(([parameter, type]) =>
      fieldsOf[type]?.map((field) => [`${parameter}.${field}`, "i32"] as const) ??
        [[parameter, type] as const]
    );
    const size = sizes.get(`${name}Workspace`);
    sizes.delete(`${name}Workspace`);
    if (result !== "void" || parameters[0]?.join() !== "call,usize") {
      refuse(`it is (${parameters.map(([p]) => p).join(", ")}): ${result} (expected (call, ...): void)`);
    }
    if (words.length > maxWords) refuse(`it takes ${words.length} arguments (expected at most ${maxWords})`);
    const other = words.find(([, type]) => !(type in readers));
    if (other) refuse(`${other[0]} is ${other[1]} (expected ${Object.keys(readers).join(", ")})`);
    if (workspace !== (size !== undefined)) {
      refuse(`it needs both a parameter workspace and a function ${name}Workspace(...): u64, or neither`);
    }
    const unknown = size?.parameters.find(([p]) => p !== "threads" && !given.some(([word]) => word === p));
    if (unknown) refuse(`${name}Workspace takes ${unknown[0]}, which is no argument of the kernel`);
    return { ...kernel, workspace, given, words, ...size && { size } };
  });
  if (sizes.size > 0) {
    throw new Error(`Cannot build ${[...sizes.keys()].join(", ")}: there is no such kernel`);
  }
  return kernels;
}

/** AssemblyScript that reads an argument of a kernel from its first word. */
function reading({ given, words }: KernelSource, name: string): string {
  const [, type] = given.find(([parameter]) => parameter === name)!;
  return `${readers[type]}(call, ${
    words.findIndex(([word]) => word === name || word.startsWith(`${name}.`))
  })`;
}

/** AssemblyScript that reads the arguments of a kernel and calls it, or `size` with the number of threads. */
function invocation(kernel: KernelSource, size: string): string {
  const given = kernel.given.map(([name]) => reading(kernel, name));
  const workspace = kernel.workspace ? [`claimWorkspace(call, ${size})`] : [];
  return `${kernel.name}(${["call", ...workspace, ...given].join(", ")})`;
}

function sizeOf(kernel: KernelSource, threads: string): string {
  const given = kernel.size?.parameters.map(([name]) => name === "threads" ? threads : reading(kernel, name));
  return `${kernel.size?.name}(${given?.join(", ")})`;
}

/** AssemblyScript of `execute`, which runs the kernel of a call, and of `workspaceOf`, which returns its workspace. */
export function dispatchSource(kernels: readonly KernelSource[]): string {
  const imports = [...Map.groupBy(kernels, ({ file }) => file)].map(([file, all]) => {
    const names = all.flatMap(({ name, size }) => size ? [name, size.name] : [name]);
    return `import { ${names.join(", ")} } from "./kernels/${file}";`;
  });
  const runs = kernels.map((kernel, i) => `case ${i}: return ${invocation(kernel, sizeOf(kernel, "team"))};`);
  const sizes = kernels.flatMap((kernel, i) =>
    kernel.size ? [`case ${i}: return ${sizeOf(kernel, "threads")};`] : []
  );
  return `// Made by \`deno task build:wasm\` from kernels/; do not edit.
// deno-fmt-ignore-file

import { axis, integer, isAlone, opcode, pointer, real } from "./call.ts";
${imports.join("\n")}
import { me, team } from "./threads.ts";
import { claimWorkspace } from "./workspace.ts";

/** Runs the kernel of a call; if it runs on one thread, the other threads do nothing. */
export function execute(call: usize): void {
  if (me != 0 && isAlone(call)) return;
  switch (opcode(call)) {
    ${runs.join("\n    ")}
    default: unreachable();
  }
}

/** Bytes of workspace that a call needs on a number of threads. */
export function workspaceOf(call: usize, threads: i32): u64 {
  switch (opcode(call)) {
    ${sizes.join("\n    ")}
    default: return 0;
  }
}
`;
}

/** TypeScript with the arguments of every kernel, which the host lays out calls with. */
export function signaturesModule(kernels: readonly KernelSource[]): string {
  const rows = kernels.map(({ name, words }) => {
    const text = `"${words.map(([word, type]) => `${word}: ${type}`).join(", ")}",`;
    return `  ${name}:${name.length + text.length + 4 > lineWidth ? `\n    ${text}` : ` ${text}`}`;
  });
  return `// Made by \`deno task build:wasm\` from assembly/kernels/; do not edit.

/**
 * Arguments of each kernel in order: addresses and bytes are usize. The position of a kernel is its opcode.
 *
 * @internal
 */
export const kernelSignatures = {
${rows.join("\n")}
} as const;
`;
}
