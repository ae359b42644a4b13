/** Replaces properties of objects until disposal. */
export function replacing(
  ...replaced: readonly [object: object, by: Readonly<Record<string, unknown>>][]
): Disposable {
  const earlier = replaced.map(([object, by]) =>
    [object, Object.fromEntries(Object.keys(by).map((name) => [name, Reflect.get(object, name)]))] as const
  );
  for (const [object, by] of replaced) Object.assign(object, by);
  return { [Symbol.dispose]: () => earlier.forEach(([object, values]) => Object.assign(object, values)) };
}
