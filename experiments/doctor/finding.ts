import { UserError } from "../../kernels/core/user_error.ts";

/** Whether something is as it should be: `warning` costs something, `error` keeps training from what the machine has. */
export type State = "ok" | "warning" | "error";

/** A number, a text, or a list or record of them, as `--json` prints it. */
export type Json = number | string | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/** What a check found: a line. */
export interface Finding {
  readonly state: State;
  /** What is so, e.g. `nobody answers at http://127.0.0.1:5000`. */
  readonly says: string;
  /** What to do; every warning and error has it. */
  readonly advice?: string;
  /** What was measured, by name with its unit. */
  readonly values?: Readonly<Record<string, Json>>;
}

/** A finding that is as it should be. */
export function ok(says: string, values?: Finding["values"]): Finding {
  return { state: "ok", says, ...values && { values } };
}

/** A finding that costs something. */
export function warning(says: string, advice: string, values?: Finding["values"]): Finding {
  return { state: "warning", says, advice, ...values && { values } };
}

/** A finding that keeps training from what the machine has. */
export function error(says: string, advice: string, values?: Finding["values"]): Finding {
  return { state: "error", says, advice, ...values && { values } };
}

/**
 * What an error says that explains itself, and what to do about it.
 *
 * @param otherwise what to do where the error does not say
 * @throws {unknown} the error itself if it does not explain itself
 */
export function explanation(cause: unknown, otherwise: string): Required<Pick<Finding, "says" | "advice">> {
  if (!(cause instanceof UserError)) throw cause;
  const [says, ...advice] = cause.message.replaceAll(/\s*\n\s*/g, " ").split("; ");
  return { says, advice: advice.join("; ") || otherwise };
}

/** A size for people, e.g. `23.5 GiB`. */
export function shownBytes(bytes: number): string {
  const [size, unit] = bytes >= 2 ** 30 ? [2 ** 30, "GiB"] : [2 ** 20, "MiB"];
  return `${(bytes / size).toFixed(1)} ${unit}`;
}
