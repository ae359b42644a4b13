/** The grammar of signatures for the type checker, so that a malformed one is an error where it is written. */

type Digit = "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9";

/** Whether a text is letters, digits and `_`. Only letters differ between upper and lower case. */
type IsWord<S extends string> = S extends `${infer C}${infer Rest}`
  ? C extends Digit | "_" ? IsWord<Rest> : Uppercase<C> extends Lowercase<C> ? false : IsWord<Rest>
  : true;

type IsName<S extends string> = S extends "" | `${Digit}${string}` ? false : IsWord<S>;

type IsLength<S extends string> = S extends `${Digit}${infer Rest}` ? Rest extends "" ? true : IsLength<Rest>
  : false;

type Trimmed<S extends string> = S extends ` ${infer Rest}` | `${infer Rest} ` ? Trimmed<Rest> : S;

type IsAxis<S extends string> = S extends `${infer Name}...` ? IsName<Name>
  : S extends `${Digit}${string}` ? IsLength<S>
  : IsName<S>;

type AreAxes<S extends string> = S extends `${infer Axis},${infer Rest}`
  ? IsAxis<Trimmed<Axis>> extends true ? AreAxes<Rest> : false
  : IsAxis<Trimmed<S>>;

type IsPort<S extends string> = S extends `${infer Head}[${infer Axes}]`
  ? IsName<Head extends `${infer Name}:u32` ? Name : Head> extends true
    ? Axes extends "" ? true : AreAxes<Axes>
  : false
  : false;

/** What is wrong with the first malformed buffer of a list. */
type PortsProblem<S extends string> = S extends `${infer Port}], ${infer Rest}`
  ? PortProblem<`${Port}]`> extends infer Problem ? [Problem] extends [never] ? PortsProblem<Rest> : Problem
  : never
  : PortProblem<S>;

type PortProblem<S extends string> = IsPort<S> extends true ? never
  : `Malformed signature: "${S}" is not a buffer (expected one such as a[M, K], x[S...] or index:u32[n])`;

type SidesProblem<Inputs extends string, Outputs extends string> =
  | (Inputs extends "" ? never : PortsProblem<Inputs>)
  | PortsProblem<Outputs>;

/**
 * What is wrong with a signature; never, if nothing is.
 *
 * @internal
 */
type SignatureProblem<S extends string> = S extends `${infer Inputs} -> ${infer Outputs}`
  ? SidesProblem<Inputs, Outputs>
  : `Malformed signature: it has no " -> " (expected one such as a[M, K], b[K, N] -> y[M, N])`;

/** The signature itself if it is well formed, else a text that says what is wrong. */
export type CheckedSignature<S extends string> = string extends S ? S
  : [SignatureProblem<S>] extends [never] ? S
  : SignatureProblem<S>;
