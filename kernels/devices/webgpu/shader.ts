import { refuse } from "../../core/checks.ts";
import { showAxes } from "../../core/signature.ts";
import type { Kernel, KernelCall, Tuning } from "../device.ts";

/** The complete shader of a kernel: dims and buffers by name, the op's `fn kernel`, and the entry point. */
export function shaderOf(call: KernelCall, tuning: Tuning): string {
  const { kernel, dims, half = [] } = call;
  const specialised = kernel.specialise(dims, tuning);
  const vectors = kernel.vectors?.(specialised) ?? [];
  const fields = Object.keys(dims).map((name) => `  ${name}: ${kernel.floats.has(name) ? "f32" : "u32"},`);
  const elementOf = ({ name, type }: Kernel["ports"][number]) => {
    const [number, vector] = half.includes(name) ? ["f16", "vec4h"] : [type, "vec4f"];
    return vectors.includes(name) ? vector : number;
  };
  const buffers = kernel.ports.map((port, i) => {
    const access = port.writable ? "read_write" : "read";
    return `@group(0) @binding(${i + 1}) var<storage, ${access}> ${port.name}: array<${
      elementOf(port)
    }>; // [${showAxes(port.axes)}]`;
  });
  return `${half.length > 0 ? "enable f16;\n" : ""}struct Dims {
${fields.join("\n")}
  runs: u32,
}
@group(0) @binding(0) var<uniform> dims: Dims;
${buffers.join("\n")}

${halfWgsl(kernel.wgsl(tuning, specialised), half, vectors)}
${entry(kernel.workgroups(dims, tuning)?.lanes, tuning)}`;
}

/** The entry point: workgroups with this number of lanes, or single invocations. */
function entry(lanes: number | undefined, { workgroupSize }: Tuning): string {
  if (lanes !== undefined) {
    return `
@compute @workgroup_size(${lanes})
fn main(
  @builtin(workgroup_id) id: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) lane: u32,
) {
  let group = id.x + id.y * groups.x;
  if (group < dims.runs) { kernel(group, lane); }
}
`;
  }
  return `
@compute @workgroup_size(${workgroupSize})
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * ${workgroupSize}u;
  if (i < dims.runs) { kernel(i); }
}
`;
}

/**
 * Rewrites WGSL so that some buffers hold f16. Values are converted to f32 on reads and to f16 on stores, so all
 * arithmetic stays in f32. Ops are written for f32 and need no change.
 *
 * @param wgsl statements that use the buffers only as `name[index]`
 * @param names buffers declared as `array<f16>` or `array<vec4h>`
 * @param vectors the buffers among them that are declared as `array<vec4h>`
 */
export function halfWgsl(wgsl: string, names: readonly string[], vectors: readonly string[] = []): string {
  if (names.length === 0) return wgsl;
  const use = new RegExp(`(?<![\\w.])(${names.join("|")})\\s*\\[`);
  return rewritten(wgsl.replaceAll(/\/\/.*/g, ""), use, vectors);
}

/** An assignment, not a comparison; captures the operator of a compound one. */
const assignment = /^\s*([-+*/]?)=(?!=)/;

function rewritten(wgsl: string, use: RegExp, vectors: readonly string[]): string {
  const match = use.exec(wgsl);
  if (!match) return wgsl;
  const open = match.index + match[0].length;
  const close = endOf(wgsl, open, "]");
  const [wide, narrow] = vectors.includes(match[1]) ? ["vec4f", "vec4h"] : ["f32", "f16"];
  const element = `${match[1]}[${rewritten(wgsl.slice(open, close), use, vectors)}]`;
  const before = wgsl.slice(0, match.index);
  const after = wgsl.slice(close + 1);
  const stored = assignment.exec(after);
  if (!stored) return `${before}${wide}(${element})${rewritten(after, use, vectors)}`;
  const end = endOf(after, stored[0].length, ";");
  const value = rewritten(after.slice(stored[0].length, end), use, vectors);
  const sum = stored[1] === "" ? value : `${wide}(${element}) ${stored[1]} (${value})`;
  return `${before}${element} = ${narrow}(${sum})${rewritten(after.slice(end), use, vectors)}`;
}

/** Index of the bracket that closes the one opened before `from`, or of the end of the statement. */
function endOf(wgsl: string, from: number, closing: "]" | ";"): number {
  let depth = 0;
  for (let i = from; i < wgsl.length; i++) {
    if (depth === 0 && wgsl[i] === closing) return i;
    if ("([{".includes(wgsl[i])) depth++;
    else if (")]}".includes(wgsl[i])) depth--;
  }
  refuse(SyntaxError, `store in f16: no "${closing}" after ${wgsl.slice(from, from + 40)}`);
}
