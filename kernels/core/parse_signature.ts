import type { Axis, Port, Signature } from "./signature.ts";

const buffer = /^([A-Za-z_]\w*)(?::(u32))?\[([^\[\]]*)\]$/;
const named = /^([A-Za-z_]\w*)(\.\.\.)?$/;
const example = "a[M, K], b[K, N] -> y[M, N]";

/** The part of an op's declaration that a signature is checked with. */
interface Declaration {
  readonly name: string;
  readonly signature: string;
  readonly attributes?: object;
  readonly derive?: unknown;
}

/**
 * Parses the signature of an op.
 *
 * @throws {TypeError} if it is malformed, names a buffer twice, has no output, or an axis of an output is unknown
 */
export function parseSignature(
  { name: op, signature: text, attributes = {}, derive }: Declaration,
): Signature {
  const fail = (why: string, expected = `one such as ${example}`): never => {
    throw new TypeError(`Cannot declare op ${op}: its signature "${text}" ${why} (expected ${expected})`);
  };
  const sides = text.split(" -> ");
  if (sides.length !== 2) fail(`has ${sides.length - 1} arrows " -> " between inputs and outputs`);
  const [inputs, outputs] = sides.map((side) => portsOf(side, fail));
  if (outputs.length === 0) fail("has no output");
  for (const ports of [inputs, outputs]) {
    const twice = ports.find(({ name }, i) => ports.findIndex((port) => port.name === name) < i);
    if (twice) fail(`has two buffers ${twice.name} on one side`, "a name for each");
  }
  const given = inputs.flatMap(({ axes }) => axes);
  for (const { name, type, axes } of outputs) {
    const updated = inputs.find((input) => input.name === name);
    if (updated && (showAxes(updated.axes) !== showAxes(axes) || updated.type !== type)) {
      fail(`changes the axes or type of ${name}, which it updates in place`, "the same as for the input");
    }
    const unknown = axes.find((axis) =>
      axis.length === undefined && !(axis.name in attributes && !axis.variadic) &&
      !given.some((other) => other.name === axis.name && (other.variadic || !axis.variadic))
    );
    if (unknown && derive === undefined) {
      fail(
        `does not say how long ${showAxes([unknown])} of ${name} is`,
        "an axis of an input, an attribute, or derive",
      );
    }
  }
  return { text, inputs, outputs };
}

function portsOf(side: string, fail: (why: string, expected?: string) => never): Port[] {
  if (side === "") return [];
  return side.split(/(?<=\]), /).map((part) => {
    const found = buffer.exec(part);
    const [, name, type, list] = found ??
      fail(`has "${part}"`, "a buffer such as a[M, K], x[S...] or index:u32[n]");
    const texts = list.trim() === "" ? [] : list.split(",").map((text) => text.trim());
    const axes = texts.map((text) =>
      axisOf(text) ?? fail(`has an axis "${text}" of ${name}`, "a name, a length, or S... for any axes")
    );
    if (axes.filter(({ variadic }) => variadic).length > 1) {
      fail(`has several axes of any number in ${name}[${list}]`, "one at most");
    }
    return { name, type: type === "u32" ? "u32" : "f32", axes };
  });
}

function axisOf(text: string): Axis | undefined {
  if (/^\d+$/.test(text)) return { name: text, length: Number(text), variadic: false };
  const [, name, dots] = named.exec(text) ?? [];
  return name === undefined ? undefined : { name, variadic: dots !== undefined };
}

function showAxes(axes: readonly Axis[]): string {
  return axes.map(({ name, variadic }) => variadic ? `${name}...` : name).join(", ");
}
