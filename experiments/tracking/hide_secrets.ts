const named: Readonly<Record<string, string>> = {
  "&": "amp",
  "<": "lt",
  ">": "gt",
  '"': "quot",
  "'": "apos",
};

/**
 * Makes a function that replaces secrets in texts from elsewhere, however a server spells them: as they are,
 * percent-encoded once or more, or escaped as in JSON or HTML.
 */
export function hideSecrets(secrets: readonly string[]): (text: string) => string {
  const longestFirst = secrets.filter((secret) => secret !== "").sort((a, b) => b.length - a.length);
  if (longestFirst.length === 0) return (text) => text;
  const spelled = longestFirst.map((secret) => Array.from(secret, spellings).join(""));
  const pattern = new RegExp(spelled.join("|"), "gu");
  return (text) => text.replaceAll(pattern, "***");
}

/** A pattern for all spellings of a character. */
function spellings(character: string): string {
  const anyCase = (hex: string) => hex.replaceAll(/[a-f]/g, (digit) => `[${digit}${digit.toUpperCase()}]`);
  const bytes = Array.from(new TextEncoder().encode(character), (byte) => byte.toString(16).padStart(2, "0"));
  const units = Array.from({ length: character.length }, (_, i) => character.charCodeAt(i).toString(16));
  const code = character.codePointAt(0)!;
  return `(?:${
    [
      `\\\\*${RegExp.escape(character)}`,
      bytes.map((byte) => `%(?:25)*${anyCase(byte)}`).join(""),
      units.map((unit) => `\\\\+u${anyCase(unit.padStart(4, "0"))}`).join(""),
      `&#(?:0*${code}|[xX]0*${anyCase(code.toString(16))});`,
      ...character in named ? [`&${named[character]};`] : [],
      ...character === " " ? ["\\+"] : [],
    ].join("|")
  })`;
}
