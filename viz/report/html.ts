/** Text that is markup already. */
export class Html {
  constructor(readonly text: string) {}
}

/** What can stand in markup: text, which is escaped, markup, which is not, and lists of both. */
export type Content = string | number | Html | undefined | readonly Content[];

/** Markup from a template whose values are escaped unless they are markup themselves; undefined is nothing. */
export function html(strings: TemplateStringsArray, ...values: readonly Content[]): Html {
  return new Html(strings.reduce((text, string, i) => text + markup(values[i - 1]) + string));
}

function markup(content: Content): string {
  if (content === undefined) return "";
  if (content instanceof Html) return content.text;
  if (typeof content === "object") return content.map(markup).join("");
  return escape(String(content));
}

/** Text as it may stand between tags and in a quoted attribute. */
export function escape(text: string): string {
  return text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
}

/** JSON as it may stand in a script element: `</script>` and `<!--` would end or change it. */
export function scriptJson(value: unknown): Html {
  return new Html(JSON.stringify(value).replaceAll("<", "\\u003c"));
}
