import { isCount } from "./count.ts";

/** Settings of an op that are not tensors, with the type they have in the kernel's uniform. */
export type AttributeTypes = Readonly<Record<string, "u32" | "f32">>;
/** Attributes of a call by name. */
export type AttributeValues<A extends AttributeTypes> = { readonly [K in keyof A]: number };

/** Copies the attributes of a call to its dims, in the order of their declaration, whatever the order of the call. */
export type AttributeCheck = (given: Readonly<Record<string, unknown>>, dims: Record<string, number>) => void;

/**
 * Makes the check of an op's attributes.
 *
 * @returns a function that throws a TypeError if an attribute is missing, unknown or not of its type
 */
export function attributeCheck(op: string, types: AttributeTypes): AttributeCheck {
  const declared = Object.entries(types);
  return (given, dims) => {
    for (const [name, type] of declared) {
      const value = given[name];
      if (!fits(value, type)) refuse(op, types, given);
      dims[name] = value;
    }
    for (const name in given) if (!Object.hasOwn(types, name)) refuse(op, types, given);
  };
}

function fits(value: unknown, type: "u32" | "f32"): value is number {
  return type === "f32" ? typeof value === "number" : isCount(value);
}

function refuse(op: string, types: AttributeTypes, given: Readonly<Record<string, unknown>>): never {
  const declared = Object.entries(types);
  const unknown = Object.keys(given).filter((name) => !Object.hasOwn(types, name));
  const missing = declared.map(([name]) => name).filter((name) => given[name] === undefined);
  const wrong = declared.filter(([name, type]) => !fits(given[name], type)).map(([name]) => name);
  const list = (names: readonly string[]) => `attribute${names.length > 1 ? "s" : ""} ${names.join(", ")}`;
  const why = unknown.length > 0
    ? `unknown ${list(unknown)}`
    : missing.length > 0
    ? `missing ${list(missing)}`
    : `attribute ${wrong[0]} is ${given[wrong[0]]}`;
  const expected = declared.map(([name, type]) => `${name}: ${type}`).join(", ") || "none";
  throw new TypeError(`Cannot run ${op}: ${why} (expected attributes: ${expected})`);
}
