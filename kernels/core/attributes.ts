/** Settings of an op that are not tensors, with the type they have in the kernel's uniform. */
export type AttributeTypes = Readonly<Record<string, "u32" | "f32">>;
/** Attributes of a call by name. */
export type AttributeValues<A extends AttributeTypes> = { readonly [K in keyof A]: number };

/**
 * The attributes of a call in the order in which they are declared, whatever the order in which they are given.
 *
 * @throws {TypeError} if one is missing, unknown or not of its type
 */
export function checkedAttributes(
  op: string,
  types: AttributeTypes,
  given: Readonly<Record<string, unknown>>,
): Record<string, number> {
  const declared = Object.entries(types);
  const refuse = (why: string): never => {
    const expected = declared.map(([name, type]) => `${name}: ${type}`).join(", ") || "none";
    throw new TypeError(`Cannot run ${op}: ${why} (expected attributes: ${expected})`);
  };
  const list = (names: readonly string[]) => `attribute${names.length > 1 ? "s" : ""} ${names.join(", ")}`;
  const unknown = Object.keys(given).filter((name) => !Object.hasOwn(types, name));
  if (unknown.length > 0) refuse(`unknown ${list(unknown)}`);
  const missing = declared.map(([name]) => name).filter((name) => given[name] === undefined);
  if (missing.length > 0) refuse(`missing ${list(missing)}`);
  const values: Record<string, number> = {};
  for (const [name, type] of declared) {
    const value = given[name];
    const fits = typeof value === "number" && (type === "f32" || (Number.isSafeInteger(value) && value >= 0));
    if (!fits) refuse(`attribute ${name} is ${value}`);
    values[name] = value as number;
  }
  return values;
}
