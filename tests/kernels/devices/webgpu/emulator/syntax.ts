/** Tokens, types and values of WGSL. */

/** A type: a scalar, or `abstract` for literals; a vector, an array or a struct. */
export type Type =
  | { readonly kind: "f32" | "i32" | "u32" | "bool" }
  | { readonly kind: "abstract"; readonly isFloat?: boolean }
  | { readonly kind: "vec"; readonly length: number; readonly of: Type }
  | { readonly kind: "array"; readonly length: number; readonly of: Type }
  | { readonly kind: "struct"; readonly name: string; readonly fields: ReadonlyMap<string, Type> };

/** JavaScript of an expression, its type, and whether it reads a variable, which an assignment must copy. */
export interface Value {
  readonly js: string;
  readonly type: Type;
  readonly isPlace?: boolean;
  /** Memory object and JavaScript of the word address, for buffers and workgroup memory. */
  readonly memory?: { readonly name: string; readonly address: string };
}

export const [f32, i32, u32, bool, abstract] = (["f32", "i32", "u32", "bool", "abstract"] as const)
  .map((kind): Type => ({ kind }));
export const abstractFloat: Type = { kind: "abstract", isFloat: true };
export const suffixes: Readonly<Record<string, Type>> = { f: f32, i: i32, u: u32 };

/** Words of a value in memory. Vectors of three are not used there. */
export function wordsOf(type: Type): number {
  if (type.kind === "vec" || type.kind === "array") return type.length * wordsOf(type.of);
  if (type.kind === "struct") {
    return [...type.fields.values()].reduce((sum, field) => sum + wordsOf(field), 0);
  }
  return 1;
}

const tokenPattern =
  /\s+|\/\/[^\n]*|(0x1p[+-]?\d+f?|0x[\da-fA-F]+[iu]?|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?[fiu]?)|([A-Za-z_]\w*)|(->|&&|\|\||<<=?|>>=?|[-+*/%&|^=!<>]=|\+\+|--|[-+*/%&|^=!<>~(){}[\],;:.@])/gy;

export interface Token {
  readonly text: string;
  readonly kind: "number" | "name" | "sign";
}

/** The tokens of a module, without comments. @throws {SyntaxError} at unknown text */
export function tokensOf(source: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  for (const match of source.matchAll(tokenPattern)) {
    if (match.index !== at) break;
    at += match[0].length;
    const [text, number, name, sign] = match;
    if (number ?? name ?? sign) tokens.push({ text, kind: number ? "number" : name ? "name" : "sign" });
  }
  if (at < source.length) throw new SyntaxError(`Unknown WGSL at ${source.slice(at, at + 40)}`);
  return tokens;
}

/** Names of functions that reach a barrier, by themselves or by what they call. */
export function functionsThatWait(tokens: readonly Token[]): ReadonlySet<string> {
  const called = new Map<string, Set<string>>();
  let current = new Set<string>();
  tokens.forEach(({ text, kind }, i) => {
    if (tokens[i - 1]?.text === "fn") called.set(text, current = new Set());
    else if (kind === "name" && tokens[i + 1]?.text === "(") current.add(text);
  });
  const waiting = new Set<string>(["workgroupBarrier"]);
  for (let count = 0; count !== waiting.size;) {
    count = waiting.size;
    for (const [name, calls] of called) if ([...calls].some((other) => waiting.has(other))) waiting.add(name);
  }
  return waiting;
}
