/** A text in which no URI holds a user or a password. */
export function withoutCredentials(text: string): string {
  return text.replace(/:\/\/.*@/, "://");
}
