/** Parses and translates expressions. */

import {
  abstract,
  abstractFloat,
  bool,
  f32,
  i32,
  suffixes,
  type Token,
  type Type,
  u32,
  type Value,
  wordsOf,
} from "./syntax.ts";
import { builtins, operate } from "./values.ts";

const levels = [["||"], ["&&"], ["|"], ["^"], ["&"], ["==", "!="], ["<", ">", "<=", ">="], ["<<", ">>"], [
  "+",
  "-",
], [
  "*",
  "/",
  "%",
]];

/** A function of the module: its result, and whether it reaches a barrier. */
export interface FunctionInfo {
  readonly type: Type | undefined;
  readonly waits: boolean;
}

/** Names of a module that expressions use. */
export interface Names {
  readonly structs: Map<string, Type>;
  readonly functions: Map<string, FunctionInfo>;
  /** Variables, the innermost scope last. */
  readonly scopes: Map<string, Value>[];
}

/** A parser of expressions, positioned at the first token. */
export function expressionsOf(tokens: readonly Token[], { structs, functions, scopes }: Names) {
  let at = 0, barriers = 0;
  const peek = (offset = 0) => tokens[at + offset]?.text;
  const next = () => tokens[at++]?.text;
  const take = (text: string) => peek() === text && (at++, true);
  function expect(text: string): void {
    const token = next();
    if (token !== text) fail(`expected ${text}, not ${token}`);
  }
  function fail(why: string): never {
    throw new SyntaxError(
      `${why}: ${tokens.slice(Math.max(0, at - 12), at + 4).map(({ text }) => text).join(" ")}`,
    );
  }
  const list = <T>(close: string, item: () => T): T[] => {
    const items: T[] = [];
    while (!take(close)) {
      items.push(item());
      if (!take(",") && peek() !== close) fail(`expected , or ${close}`);
    }
    return items;
  };

  function type(): Type {
    const name = next();
    const vector = /^vec([234])([fiu])?$/.exec(name);
    if (vector) {
      const of = vector[2] ? suffixes[vector[2]] : (expect("<"), type());
      if (!vector[2]) expect(">");
      return { kind: "vec", length: Number(vector[1]), of };
    }
    if (name === "array") {
      expect("<");
      const of = type();
      const length = take(",") ? constant() : Infinity;
      expect(">");
      return { kind: "array", length, of };
    }
    const builtIn = { f32, i32, u32, bool }[name] ?? structs.get(name);
    return builtIn ?? fail(`unknown type ${name}`);
  }

  /** The value of a constant expression: a literal, or the name of one. */
  function constant(): number {
    const text = next();
    const value = Number(/^\d+/.exec(text)?.[0] ?? /^\d+/.exec(find(text).js)?.[0]);
    return Number.isNaN(value) ? fail(`unknown length ${text}`) : value;
  }

  function find(name: string): Value {
    for (const scope of scopes.toReversed()) {
      const value = scope.get(name);
      if (value) return value;
    }
    return fail(`unknown name ${name}`);
  }

  // Expressions

  function expression(level = 0): Value {
    if (level === levels.length) return unary();
    let left = expression(level + 1);
    while (levels[level].includes(peek())) left = operate(next(), left, expression(level + 1));
    return left;
  }

  function unary(): Value {
    if (take("-")) {
      return operate("-", { js: "-0", type: abstract }, unary());
    }
    if (take("!")) return { js: `!${unary().js}`, type: bool };
    if (take("~")) return { js: `(~${unary().js} >>> 0)`, type: u32 };
    return postfix(primary());
  }

  function primary(): Value {
    const { kind, text } = tokens[at++];
    if (text === "(") {
      const value = expression();
      expect(")");
      return { js: `(${value.js})`, type: value.type };
    }
    if (kind === "number") {
      const power = /^0x1p([+-]?\d+)/.exec(text);
      if (power) return { js: `${2 ** Number(power[1])}`, type: abstractFloat };
      const [, digits, suffix] = /^(0x[\da-fA-F]+|.*?)([fiu]?)$/.exec(text)!;
      return {
        js: digits.replace(/^0+(?=\d)/, ""),
        type: suffixes[suffix] ?? (/[.e]/.test(digits) ? abstractFloat : abstract),
      };
    }
    if (text === "true" || text === "false") return { js: text, type: bool };
    const isType = /^(vec[234][fiu]?|array|f32|i32|u32|bool)$/.test(text) || structs.has(text);
    if (isType) {
      at--;
      return construction();
    }
    if (text === "bitcast") {
      expect("<");
      const to = type();
      expect(">");
      expect("(");
      const [value] = list(")", expression);
      if (value.type.kind !== "vec" || to.kind !== "vec") {
        return { js: `bits_${value.type.kind}_${to.kind}(${value.js})`, type: to };
      }
      return { js: `${value.js}.map(bits_${value.type.of.kind}_${to.of.kind})`, type: to };
    }
    if (peek() !== "(") return find(text);
    at++;
    const args = list(")", expression);
    if (text === "workgroupBarrier") return { js: `(yield ${++barriers})`, type: abstract };
    const own = functions.get(text);
    if (!own) return builtins(text, args) ?? fail(`unknown function ${text}`);
    const call = `${text}_(${args.map(({ js }) => js).join(", ")})`;
    return { js: own.waits ? `(yield* ${call})` : call, type: own.type ?? abstract };
  }

  /** A constructor, such as `vec4f(a, b)`; `array(...)` takes the type of its first element. */
  function construction(): Value {
    const isOpen = peek() === "array" && peek(1) === "(";
    const made = isOpen ? (at++, undefined) : type();
    expect("(");
    const args = list(")", expression);
    const to = made ?? { kind: "array", length: args.length, of: concrete(args[0].type) } as Type;
    if (args.length === 0) return { js: zeroOf(to), type: to };
    if (to.kind === "struct") {
      const names = [...to.fields.keys()];
      return { js: `({ ${args.map((arg, i) => `${names[i]}: ${copied(arg)}`).join(", ")} })`, type: to };
    }
    if (to.kind === "array") return { js: `[${args.map(copied).join(", ")}]`, type: to };
    if (to.kind !== "vec") return { js: `to_${args[0].type.kind}_${to.kind}(${args[0].js})`, type: to };
    const each = ({ js, type }: Value) => `to_${type.kind}_${to.of.kind}(${js})`;
    const scalars = args.map((arg) =>
      arg.type.kind === "vec" ? `...${arg.js}.map((v) => ${each({ js: "v", type: arg.type.of })})` : each(arg)
    );
    const isSplat = args.length === 1 && args[0].type.kind !== "vec";
    return { js: isSplat ? `splat(${to.length}, ${scalars[0]})` : `[${scalars.join(", ")}]`, type: to };
  }

  function postfix(value: Value): Value {
    for (;;) {
      if (take(".")) value = member(value, next());
      else if (take("[")) {
        const index = expression();
        expect("]");
        value = element(value, index.js);
      } else return value;
    }
  }

  function member(value: Value, name: string): Value {
    const { type } = value;
    if (type.kind === "struct") {
      const field = type.fields.get(name) ?? fail(`unknown field ${name}`);
      return { js: `${value.js}.${name}`, type: field, isPlace: true };
    }
    if (type.kind !== "vec") return fail(`no member ${name} of ${type.kind}`);
    const lanes = [...name].map((letter) => "xyzwrgba".indexOf(letter) % 4);
    if (lanes.length === 1) return element(value, `${lanes[0]}`);
    return {
      js: `lanesOf(${loaded(value).js}, [${lanes}])`,
      type: { kind: "vec", length: lanes.length, of: type.of },
    };
  }

  function element({ js, type, memory }: Value, index: string): Value {
    if (type.kind !== "vec" && type.kind !== "array") return fail(`cannot index ${type.kind}`);
    if (!memory) return { js: `${js}[within(${index}, ${type.length})]`, type: type.of, isPlace: true };
    const inner = type.length === Infinity ? index : `within(${index}, ${type.length})`;
    const address = `${memory.address} + ${wordsOf(type.of)} * (${inner})`;
    return placeIn(memory.name, address, type.of);
  }

  function placeIn(name: string, address: string, type: Type): Value {
    const isWide = type.kind === "vec";
    const isWhole = type.kind === "array" || type.kind === "struct";
    const js = isWide
      ? `${name}.vector(${address}, ${type.length})`
      : isWhole
      ? ""
      : `${name}.word(${address})`;
    return { js, type, memory: { name, address } };
  }

  const loaded = (value: Value): Value =>
    value.js === "" ? fail("a whole array of memory is not a value") : value;

  /** JavaScript of a value for a new place: mutable values are copied. */
  function copied(value: Value): string {
    const { js, type, isPlace } = loaded(value);
    if (!isPlace || !("of" in type || "fields" in type)) return js;
    return "of" in type && !("of" in type.of || "fields" in type.of)
      ? `${js}.slice()`
      : `structuredClone(${js})`;
  }

  const concrete = (type: Type): Type => type.kind !== "abstract" ? type : type.isFloat ? f32 : i32;

  function zeroOf(type: Type): string {
    if (type.kind === "vec") return `splat(${type.length}, 0)`;
    if (type.kind === "array") return `Array.from({ length: ${type.length} }, () => ${zeroOf(type.of)})`;
    if (type.kind !== "struct") return type.kind === "bool" ? "false" : "0";
    return `({ ${[...type.fields].map(([name, field]) => `${name}: ${zeroOf(field)}`).join(", ")} })`;
  }

  return {
    ...{ peek, next, take, expect, fail, list, type, expression, postfix, primary },
    ...{ copied, concrete, zeroOf, placeIn },
    isAtEnd: () => at === tokens.length,
    back: () => at--,
  };
}
