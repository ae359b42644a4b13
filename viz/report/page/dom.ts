/// <reference lib="dom" />

/** The element of an id; the document has it, as both are made together. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

/** A new element with attributes, `text` among them, and children. */
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

/** A number with its sign, so that changing numbers do not jump. */
export function signed(value: number, digits = 3): string {
  return (value < 0 ? "\u2212" : "+") + Math.abs(value).toFixed(digits);
}

/** Text that Plotly shows as it is, instead of as markup. */
export function plotlyText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** Fills a select with the names of runs, hidden if there is only one. */
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

/** A field for a number, a whole one unless its step is `any`. */
export class NumberField {
  readonly #input: HTMLInputElement;

  /**
   * @param name what to call it
   * @param onEnter called when its reader presses Enter
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

  /** Marks a wrong number and says what is wrong; undefined if nothing is. */
  check(): string | undefined {
    const { min, max, step, value, validity: { valid, badInput, valueMissing } } = this.#input;
    this.#input.setAttribute("aria-invalid", `${!valid}`);
    if (valid) return undefined;
    // Programs see no difference between an empty text and one that is no number; the browser does.
    const is = badInput ? "is not a number" : valueMissing ? "is empty" : `is ${value}`;
    return `${this.name} ${is} (expected a ${step === "any" ? "" : "whole "}number from ${min} to ${max}).`;
  }
}
