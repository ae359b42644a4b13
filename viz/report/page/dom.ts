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

/** A number for a reader, always with its sign, so that numbers that change do not jump. */
export function signed(value: number, digits = 3): string {
  return (value < 0 ? "\u2212" : "+") + Math.abs(value).toFixed(digits);
}

/** Text that Plotly shows as it is: it takes tags of a few kinds for markup. */
export function plain(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** Fills a select with the names of runs; it and its label are hidden where there is no choice. */
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
