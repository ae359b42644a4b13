/// <reference lib="dom" />

/** The element with an id, which must exist. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

/** Creates an element with attributes, `text` and children. */
export function element<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  { text, ...attributes }: Record<string, string> = {},
  ...children: Node[]
): HTMLElementTagNameMap[Name] {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** The current colours of the page by the names of its CSS properties, light or dark. */
export function pageColors<Name extends string>(...names: readonly Name[]): Record<Name, string> {
  const style = getComputedStyle(document.documentElement);
  const colors = names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]);
  return Object.fromEntries(colors) as Record<Name, string>;
}

/** Formats a number with its sign and fixed decimals. */
export function signed(value: number, digits = 3): string {
  return (value < 0 ? "\u2212" : "+") + Math.abs(value).toFixed(digits);
}

/** Fills a select with the names of runs; hides it if there is only one. */
export function chooseRun(
  select: HTMLSelectElement,
  names: readonly string[],
  chosen: number,
  onChange: () => void,
) {
  names.forEach((name, i) => select.append(element("option", { value: String(i), text: name })));
  select.value = String(chosen);
  select.addEventListener("change", onChange);
  if (names.length < 2) (select.closest("label") as HTMLElement).hidden = true;
}

/** An input for a number; it must be whole unless its step is `any`. */
export class NumberField {
  readonly #input: HTMLInputElement;

  /**
   * @param name its name in messages
   * @param onEnter called on Enter
   */
  constructor(id: string, readonly name: string, onEnter: () => void) {
    this.#input = byId<HTMLInputElement>(id);
    this.#input.addEventListener("keydown", ({ key }) => {
      if (key === "Enter") onEnter();
    });
  }

  get value(): number {
    return this.#input.valueAsNumber;
  }

  set value(value: number) {
    this.#input.value = String(value);
  }

  /** Marks an invalid number and returns what is wrong; undefined if valid. */
  check(): string | undefined {
    const { min, max, step, value, validity: { valid, badInput, valueMissing } } = this.#input;
    this.#input.setAttribute("aria-invalid", `${!valid}`);
    if (valid) return undefined;
    // `value` is empty for both empty and invalid input; `badInput` tells them apart.
    let is = `is ${value}`;
    if (valueMissing) is = "is empty";
    if (badInput) is = "is not a number";
    return `${this.name} ${is} (expected a ${step === "any" ? "" : "whole "}number from ${min} to ${max}).`;
  }
}
