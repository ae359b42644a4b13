/** Text that is already markup. */
export class Markup {
  constructor(readonly text: string) {}
}

/** What a template takes: text, which is escaped, markup, which is not, and lists of both. */
export type Content = string | number | Markup | undefined | readonly Content[];

/** HTML from a template, whose values are escaped unless they are markup; undefined adds nothing. */
export function markup(strings: TemplateStringsArray, ...values: readonly Content[]): Markup {
  return new Markup(strings.reduce((text, string, i) => text + textOf(values[i - 1]) + string));
}

function textOf(content: Content): string {
  if (content === undefined) return "";
  if (content instanceof Markup) return content.text;
  if (typeof content === "object") return content.map(textOf).join("");
  return escape(String(content));
}

/** Escapes text for use between tags and in a quoted attribute. */
export function escape(text: string): string {
  return text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
}

/** JSON for a script element, which `</script>` would end and `<!--` would change. */
export function scriptJson(value: unknown): Markup {
  return new Markup(JSON.stringify(value).replaceAll("<", "\\u003c"));
}

/** A program for a script element; what is replaced occurs only in strings, where it means the same. */
export function inScript(program: string): Markup {
  return new Markup(program.replace(/<(?=\/script|!--)/gi, "\\x3c"));
}
