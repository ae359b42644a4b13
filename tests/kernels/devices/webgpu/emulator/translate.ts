/**
 * Translates the WGSL of our kernels to JavaScript. Functions that reach a barrier become generators, which stop there;
 * all accesses to buffers and workgroup memory go through `Memory`, which checks them.
 *
 * It knows the part of WGSL that the kernels use, and refuses the rest by name.
 */

import { expressionsOf, type FunctionInfo } from "./expressions.ts";
import { abstract, functionsThatWait, tokensOf, type Type, type Value, wordsOf } from "./syntax.ts";
import { helpersOf, operate } from "./values.ts";

/** A buffer binding of a module. */
export interface Binding {
  readonly name: string;
  readonly type: Type;
  readonly isUniform: boolean;
  readonly isWritable: boolean;
}

/** A translated module. */
export interface Module {
  readonly bindings: ReadonlyMap<number, Binding>;
  /** Words of workgroup memory by variable. */
  readonly workgroup: ReadonlyMap<string, number>;
  /** Invocations in a workgroup. */
  readonly size: number;
  /** Names of `main`'s builtins, in order. */
  readonly builtins: readonly string[];
  /** JavaScript of a function of memories by name that returns `main`. */
  readonly js: string;
}

/** Translates a module. @throws {SyntaxError} if it uses what the translator does not know */
export function translate(source: string): Module {
  const tokens = tokensOf(source);
  const structs = new Map<string, Type>();
  const functions = new Map<string, FunctionInfo>();
  const scopes: Map<string, Value>[] = [new Map()];
  const bindings = new Map<number, Binding>();
  const workgroup = new Map<string, number>();
  const parts: string[] = [];
  const waiting = functionsThatWait(tokens);
  let size = 0, mainBuiltins: string[] = [];

  const { peek, next, take, expect, fail, list, type, expression, postfix, primary, ...parser } =
    expressionsOf(
      tokens,
      { structs, functions, scopes },
    );
  const { copied, concrete, zeroOf, placeIn } = parser;

  // Statements

  function declaration(): string {
    const isVariable = next() === "var";
    const name = next();
    const declared = take(":") ? type() : undefined;
    const value = take("=") ? expression() : undefined;
    const of = declared ?? concrete(value!.type);
    scopes.at(-1)!.set(name, { js: `${name}_`, type: of, isPlace: true });
    const start = value ? convertedTo(of, value) : zeroOf(of);
    return `${isVariable ? "let" : "const"} ${name}_ = ${start}`;
  }

  function convertedTo(type: Type, value: Value): string {
    return type.kind === "f32" && value.type.kind === "abstract" ? `Math.fround(${value.js})` : copied(value);
  }

  function assignment(): string {
    if (take("_")) {
      expect("=");
      return expression().js;
    }
    const place = postfix(primary());
    const sign = next();
    if (sign === "++" || sign === "--") {
      return stored(place, operate(sign[0], place, { js: "1", type: abstract }));
    }
    if (sign === "=") return stored(place, expression());
    if (!/^(<<|>>|[-+*/%&|^])=$/.test(sign ?? "")) return parser.back(), place.js;
    return stored(place, operate(sign.slice(0, -1), place, expression()));
  }

  function stored({ js, type, memory }: Value, value: Value): string {
    const set = convertedTo(type, value);
    if (!memory) return `${js} = ${set}`;
    return type.kind === "vec"
      ? `${memory.name}.setVector(${memory.address}, ${set})`
      : `${memory.name}.setWord(${memory.address}, ${set})`;
  }

  function block(): string {
    expect("{");
    scopes.push(new Map());
    const lines: string[] = [];
    while (!take("}")) lines.push(statement());
    scopes.pop();
    return `{ ${lines.join("\n")} }`;
  }

  function statement(): string {
    const text = peek();
    if (text === "{") return block();
    if (take(";")) return ";";
    if (take("if")) {
      const test = expression().js;
      const then = block();
      return `if (${test}) ${then}${take("else") ? ` else ${statement()}` : ""}`;
    }
    if (take("for")) {
      expect("(");
      scopes.push(new Map());
      const start = peek() === ";" ? "" : ["var", "let"].includes(peek()) ? declaration() : assignment();
      expect(";");
      const test = peek() === ";" ? "" : expression().js;
      expect(";");
      const step = peek() === ")" ? "" : assignment();
      expect(")");
      const body = block();
      scopes.pop();
      return `for (${start}; ${test}; ${step}) ${body}`;
    }
    if (take("while")) return `while (${expression().js}) ${block()}`;
    if (take("switch")) {
      const value = expression().js;
      expect("{");
      const cases: string[] = [];
      while (!take("}")) {
        const label = next() === "default" ? "default" : `case ${expression().js}`;
        take(":");
        cases.push(`${label}: ${block()} break;`);
      }
      return `switch (${value}) { ${cases.join("\n")} }`;
    }
    const line = take("return")
      ? `return ${peek() === ";" ? "" : copied(expression())}`
      : text === "break" || text === "continue"
      ? next()!
      : text === "let" || text === "var" || text === "const"
      ? declaration()
      : assignment();
    expect(";");
    return `${line};`;
  }

  // Module scope

  function attributes(): Map<string, string> {
    const found = new Map<string, string>();
    while (take("@")) {
      const name = next()!;
      found.set(name, "");
      if (!take("(")) continue;
      found.set(name, next()!);
      expect(")");
    }
    return found;
  }

  function functionDeclaration(marks: ReadonlyMap<string, string>): void {
    const name = next()!;
    expect("(");
    scopes.push(new Map());
    const parameters = list(")", () => {
      const marks = attributes();
      const parameter = next()!;
      expect(":");
      scopes.at(-1)!.set(parameter, { js: `${parameter}_`, type: type(), isPlace: true });
      return { js: `${parameter}_`, builtin: marks.get("builtin") };
    });
    const result = take("->") ? type() : undefined;
    const waits = waiting.has(name);
    functions.set(name, { type: result, waits });
    if (marks.has("compute")) {
      size = /^\d+$/.test(marks.get("workgroup_size")!) ? Number(marks.get("workgroup_size")) : fail("size");
      mainBuiltins = parameters.map(({ builtin }) => builtin!);
    }
    const body = block();
    scopes.pop();
    parts.push(`function${waits ? "*" : ""} ${name}_(${parameters.map(({ js }) => js).join(", ")}) ${body}`);
  }

  function globalVariable(marks: ReadonlyMap<string, string>): void {
    expect("<");
    const space = next()!;
    const access = take(",") ? next() : undefined;
    expect(">");
    const name = next()!;
    expect(":");
    const of = type();
    expect(";");
    if (space === "workgroup") workgroup.set(name, wordsOf(of));
    else {
      bindings.set(Number(marks.get("binding")), {
        name,
        type: of,
        isUniform: space === "uniform",
        isWritable: access === "read_write",
      });
    }
    scopes[0].set(name, space === "uniform" ? { js: name, type: of } : placeIn(`m_${name}`, "0", of));
  }

  while (!parser.isAtEnd()) {
    const marks = attributes();
    if (take(";")) continue;
    if (take("struct")) {
      const name = next()!;
      expect("{");
      const fields = list("}", () => {
        const field = next()!;
        expect(":");
        return [field, type()] as const;
      });
      structs.set(name, { kind: "struct", name, fields: new Map(fields) });
    } else if (peek() === "const") {
      const line = declaration();
      const [name] = [...scopes[0].keys()].slice(-1);
      const value = scopes[0].get(name)!;
      const literal = /= (\d+)$/.exec(line)?.[1];
      if (literal) scopes[0].set(name, { ...value, js: literal });
      parts.push(`${line};`);
      expect(";");
    } else if (take("var")) globalVariable(marks);
    else if (take("fn")) functionDeclaration(marks);
    else fail("unknown declaration");
  }
  const memories = [...bindings.values()].map(({ name, isUniform }) =>
    `const ${isUniform ? "" : "m_"}${name} = memory.${name};`
  );
  memories.push(...[...workgroup.keys()].map((name) => `const m_${name} = memory.${name};`));
  const js = ['"use strict";', helpersOf(), ...memories, ...parts, "return main_;"].join("\n");
  return { bindings, workgroup, size, builtins: mainBuiltins, js };
}
