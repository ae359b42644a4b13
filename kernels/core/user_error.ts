/**
 * An error whose message is all that a user needs: what was tried, why not, what was given and what to do.
 *
 * Programs print it as one line, without a stack trace. Every error of this library that a user can cause extends it.
 */
export class UserError extends Error {
  /** Class name, printed at the start of the line. */
  override readonly name: string = "UserError";
}
