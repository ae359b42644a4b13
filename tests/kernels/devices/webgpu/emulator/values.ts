/** Arithmetic of WGSL in JavaScript: operators and functions on scalars and vectors, in the exact types. */

import type { Type, Value } from "./syntax.ts";

/** Scalar operators by type; results are of that type, or bool for comparisons. */
const scalarJs: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  f32: { "+": "F(a + b)", "-": "F(a - b)", "*": "F(a * b)", "/": "F(a / b)", "%": "F(a % b)" },
  u32: {
    ...{ "+": "(a + b) >>> 0", "-": "(a - b) >>> 0", "*": "Math.imul(a, b) >>> 0" },
    ...{ "/": "b === 0 ? a : Math.floor(a / b)", "%": "b === 0 ? 0 : a % b" },
    ...{ "&": "(a & b) >>> 0", "|": "(a | b) >>> 0", "^": "(a ^ b) >>> 0" },
    ...{ "<<": "(a << b) >>> 0", ">>": "a >>> b" },
  },
  i32: {
    ...{ "+": "(a + b) | 0", "-": "(a - b) | 0", "*": "Math.imul(a, b)" },
    ...{ "/": "b === 0 ? a : (a / b) | 0", "%": "b === 0 ? 0 : a % b" },
    ...{ "&": "a & b", "|": "a | b", "^": "a ^ b", "<<": "a << b", ">>": "a >> b" },
  },
  bool: { "&": "a && b", "|": "a || b", "&&": "a && b", "||": "a || b" },
};
const comparisons: Readonly<Record<string, string>> = {
  ...{ "==": "a === b", "!=": "a !== b", "<": "a < b", ">": "a > b", "<=": "a <= b", ">=": "a >= b" },
};

const names: Readonly<Record<string, string>> = {
  ...{ "+": "add", "-": "sub", "*": "mul", "/": "div", "%": "rem", "&": "and", "|": "or", "^": "xor" },
  ...{ "<<": "shl", ">>": "shr", "==": "eq", "!=": "ne", "<": "lt", ">": "gt", "<=": "le", ">=": "ge" },
};

const scalarOf = (type: Type): Type => type.kind === "vec" ? type.of : type;
const lengthOf = (type: Type): number => type.kind === "vec" ? type.length : 1;

/** The type of both operands: that of the one that is not a literal. */
function common(...types: readonly Type[]): Type {
  const scalars = types.map(scalarOf);
  const scalar = scalars.find(({ kind }) => kind !== "abstract") ??
    scalars.find((type) => type.kind === "abstract" && type.isFloat) ?? scalars[0];
  const vector = types.find(({ kind }) => kind === "vec");
  return vector ? { kind: "vec", length: lengthOf(vector), of: scalar } : scalar;
}

/** An operator on two values. */
export function operate(sign: string, a: Value, b: Value): Value {
  if (sign === "&&" || sign === "||") return { js: `(${a.js} ${sign} ${b.js})`, type: { kind: "bool" } };
  const shifts = sign === "<<" || sign === ">>";
  const type = shifts ? a.type : common(a.type, b.type);
  const { kind } = scalarOf(type);
  const isComparison = sign in comparisons;
  const body = isComparison
    ? comparisons[sign]
    : kind === "abstract"
    ? `(a ${sign} b)`
    : scalarJs[kind]?.[sign];
  if (!body) throw new SyntaxError(`no operator ${sign} for ${kind}`);
  const js = apply(`${names[sign]}_${kind}`, ["a", "b"], body, [a, b], lengthOf(type));
  if (!isComparison) return { js, type };
  const bool = { kind: "bool" } as const;
  return { js, type: type.kind === "vec" ? { kind: "vec", length: type.length, of: bool } : bool };
}

/** Helper functions that translated modules call, by name. */
const helpers = new Map<string, string>();

/** A call of a function of scalars, on each lane if an argument is a vector. */
function apply(
  name: string,
  parameters: readonly string[],
  body: string,
  args: readonly Value[],
  length: number,
): string {
  if (!helpers.has(name)) helpers.set(name, `const ${name} = (${parameters.join(", ")}) => ${body};`);
  const isF32 = args.some(({ type }) => scalarOf(type).kind === "f32");
  const given = args.map(({ js, type }) => isF32 && type.kind === "abstract" ? `F(${js})` : js).join(", ");
  if (length === 1) return `${name}(${given})`;
  const isVector = args.map(({ type }) => type.kind === "vec");
  const own = `${name}_${length}${isVector.map((vector) => vector ? "v" : "s").join("")}`;
  const lane = (i: number) => parameters.map((p, k) => isVector[k] ? `${p}[${i}]` : p).join(", ");
  const lanes = Array.from({ length }, (_, i) => `${name}(${lane(i)})`).join(", ");
  helpers.set(own, `const ${own} = (${parameters.join(", ")}) => [${lanes}];`);
  return `${own}(${given})`;
}

/** Functions of WGSL on each lane, by name: parameters and JavaScript. */
const functions: Readonly<Record<string, readonly [parameters: string, body: string]>> = {
  ...{ abs: ["a", "Math.abs(a)"], floor: ["a", "Math.floor(a)"], ceil: ["a", "Math.ceil(a)"] },
  ...{ sign: ["a", "Math.sign(a)"], fract: ["a", "F(a - Math.floor(a))"], trunc: ["a", "Math.trunc(a)"] },
  round: ["a", "roundEven(a)"],
  // As GPUs may do it, NaN becomes a number.
  ...{ exp: ["a", "a !== a ? 1 : F(Math.exp(a))"], log: ["a", "a !== a ? 0 : F(Math.log(a))"] },
  exp2: ["a", "F(2 ** a)"],
  ...{ log2: ["a", "F(Math.log2(a))"], sqrt: ["a", "F(Math.sqrt(a))"] },
  inverseSqrt: ["a", "F(1 / Math.sqrt(a))"],
  ...{ sin: ["a", "F(Math.sin(a))"], cos: ["a", "F(Math.cos(a))"], tanh: ["a", "F(Math.tanh(a))"] },
  // As GPUs may do it, a NaN gives the other operand.
  ...{ min: ["a, b", "b < a || a !== a ? b : a"], max: ["a, b", "a < b || a !== a ? b : a"] },
  pow: ["a, b", "F(a ** b)"],
  clamp: ["a, b, c", "Math.min(Math.max(a, b), c)"],
  fma: ["a, b, c", "F(a * b + c)"],
  mix: ["a, b, c", "F(a * (1 - c) + b * c)"],
  select: ["a, b, c", "c ? b : a"],
};

/** A call of a function of WGSL; undefined if it is unknown. */
export function builtins(name: string, args: readonly Value[]): Value | undefined {
  if (name === "dot") {
    const [{ js: a, type }, { js: b }] = args;
    return { js: `dot(${a}, ${b})`, type: scalarOf(type) };
  }
  if (name === "all" || name === "any") {
    return { js: `${args[0].js}.${name === "all" ? "every" : "some"}(Boolean)`, type: { kind: "bool" } };
  }
  const definition = functions[name];
  if (!definition) return undefined;
  const [parameters, body] = definition;
  const type = common(...(name === "select" ? args.slice(0, 2) : args).map(({ type }) => type));
  return { js: apply(`${name}_`, parameters.split(", "), body, args, lengthOf(type)), type };
}

const scratch = `const words = new Uint32Array(1), floats = new Float32Array(words.buffer);
const toU = (v) => Number.isNaN(v) ? 0 : Math.min(Math.max(Math.trunc(v), 0), 4294967295);
const toI = (v) => Number.isNaN(v) ? 0 : Math.min(Math.max(Math.trunc(v), -2147483648), 2147483647);
const same = (v) => v;
const bits_f32_u32 = (v) => (floats[0] = v, words[0]), bits_u32_f32 = (v) => (words[0] = v, floats[0]);
const bits_i32_u32 = (v) => v >>> 0, bits_u32_i32 = (v) => v | 0;
const to_f32_u32 = toU, to_abstract_u32 = toU, to_f32_i32 = toI, to_abstract_i32 = toI;
const to_u32_u32 = same, to_i32_i32 = same, to_f32_f32 = same, to_u32_i32 = (v) => v | 0, to_i32_u32 = (v) => v >>> 0;
const to_u32_f32 = F, to_i32_f32 = F, to_abstract_f32 = F, to_bool_f32 = Number, to_bool_u32 = Number;
const to_u32_bool = Boolean, to_f32_bool = Boolean;
const splat = (n, v) => Array(n).fill(v), lanesOf = (v, lanes) => lanes.map((i) => v[i]);
const roundEven = (v) => { const r = Math.round(v); return Math.abs(v % 1) === 0.5 && r % 2 !== 0 ? r - 1 : r; };
const dot = (a, b) => a.reduce((sum, v, i) => F(sum + F(v * b[i])), 0);
const within = (i, n) => { if (!(i >= 0 && i < n)) throw new RangeError(\`index \${i} of an array of \${n}\`); return i; };`;

/** JavaScript of all helpers that were used so far. */
export function helpersOf(): string {
  return `const F = Math.fround;\n${scratch}\n${[...helpers.values()].join("\n")}`;
}
