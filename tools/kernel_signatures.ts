/** Reads the parameters of the WebAssembly kernels from their sources and generates the table from which the host lays out
 * calls, and the code with which threads read them.
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
  /** The parameters that the host sets, in order. */
  readonly hostParameters: ExportedFunction["parameters"];
  /** The words of a call that hold these parameters: one for a number, one per field for a class. */
  readonly words: ExportedFunction["parameters"];
  /** The function that returns how many bytes of workspace the kernel needs. */
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
  Walk: "walk",
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
 * @param maxWords words that a call can hold for arguments
 * @param fieldsOf i32 fields of the classes that parameters may have, by class
 * @throws {Error} if an exported function is neither a kernel nor such a size, or a call cannot hold a kernel's arguments
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
    const hostParameters = parameters.slice(workspace ? 2 : 1);
    const words = hostParameters.flatMap(([parameter, type]) =>
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
    const unknown = size?.parameters.find(([p]) =>
      p !== "threads" && !hostParameters.some(([word]) => word === p)
    );
    if (unknown) refuse(`${name}Workspace takes ${unknown[0]}, which is not an argument of the kernel`);
    return { ...kernel, workspace, hostParameters, words, ...size && { size } };
  });
  if (sizes.size > 0) {
    throw new Error(`Cannot build ${[...sizes.keys()].join(", ")}: there is no such kernel`);
  }
  return kernels;
}

/** AssemblyScript that reads an argument of a kernel, beginning at its first word. */
function reading({ hostParameters, words }: KernelSource, name: string): string {
  const [, type] = hostParameters.find(([parameter]) => parameter === name)!;
  return `${readers[type]}(call, ${
    words.findIndex(([word]) => word === name || word.startsWith(`${name}.`))
  })`;
}

/** AssemblyScript that reads the arguments of a kernel and calls it, or `size` with the number of threads. */
function invocation(kernel: KernelSource, size: string): string {
  const values = kernel.hostParameters.map(([name]) => reading(kernel, name));
  const workspace = kernel.workspace ? [`claimWorkspace(call, ${size})`] : [];
  return `${kernel.name}(${["call", ...workspace, ...values].join(", ")})`;
}

function sizeOf(kernel: KernelSource, threads: string): string {
  const values = kernel.size?.parameters.map(([name]) =>
    name === "threads" ? threads : reading(kernel, name)
  );
  return `${kernel.size?.name}(${values?.join(", ")})`;
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
  return `import { axis, claimWorkspace, integer, isAlone, opcode, pointer, real, walk } from "./call.ts";
${imports.join("\n")}
import { me, team } from "./threads.ts";

/** Runs the kernel of a call; if it runs on one thread, the other threads do nothing. */
@global
function execute(call: usize): void {
  if (me != 0 && isAlone(call)) return;
  switch (opcode(call)) {
    ${runs.join("\n    ")}
    default: unreachable();
  }
}

/** Bytes of workspace that a call needs on a number of threads. */
@global
function workspaceOf(call: usize, threads: i32): u64 {
  switch (opcode(call)) {
    ${sizes.join("\n    ")}
    default: return 0;
  }
}
`;
}

/** TypeScript with the arguments of every kernel, from which the host lays out calls. */
export function signaturesModule(kernels: readonly KernelSource[]): string {
  const rows = kernels.map(({ name, words }) => {
    const text = `"${words.map(([word, type]) => `${word}: ${type}`).join(", ")}",`;
    return `  ${name}:${name.length + text.length + 4 > lineWidth ? `\n    ${text}` : ` ${text}`}`;
  });
  return `// Made by \`deno task build wasm\` from assembly/kernels/; do not edit.

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
