import { DeviceError, UserError } from "../../kernels/mod.ts";
import type { Rows, Settings, Values } from "./settings.ts";
import { startCommand } from "../run/program_files.ts";
import { print, printable, say } from "./output.ts";

/** Training cannot continue; the message states the step and a remedy. */
export class TrainingError extends UserError {
  override name = "TrainingError";
}

/** Declaration of a task. */
export interface TaskDeclaration<Table extends Rows, Config> {
  /** Name as in `deno task NAME`; may depend on the given settings. */
  readonly name: string | ((values: Partial<Values<Table>>) => string);
  /** What the task does, for `--help`. */
  readonly about: string;
  /** Words of the usage line, such as `RUN...`; without them, the task takes only flags. */
  readonly words?: string;
  readonly settings: Settings<Table>;
  /**
   * Completes and checks the command line before anything else happens; by default with the table's defaults.
   *
   * @throws {ConfigError} if a word or flag is missing, invalid or without effect
   */
  resolve?(values: Partial<Values<Table>>, words: readonly string[]): Config;
  /** Defaults that `--help` shows instead of the table's. */
  preset?(values: Partial<Values<Table>>): Promise<Partial<Values<Table>>>;
  /** What follows the command in the examples of `--help`. */
  readonly examples?: readonly string[];
  /** Text of `--help` below the flags; may depend on the given settings. */
  readonly epilogue?: string | ((values: Partial<Values<Table>>) => Promise<string | undefined>);
  /** Does the work. @param argv the command line, for records @returns the exit code, by default 0 */
  run(config: Config, argv: readonly string[]): Promise<number | void>;
}

/** A task of `deno.json`: its file runs it as a program, and tests call it in process. */
export class Task<Table extends Rows = Rows, Config = unknown> {
  constructor(private readonly declaration: TaskDeclaration<Table, Config>) {}

  get settings(): Settings<Table> {
    return this.declaration.settings;
  }

  /** Parses a command line. @throws {ConfigError} if it is invalid */
  parse(argv: readonly string[]): Config {
    const { values, words } = this.settings.parse(argv, this.declaration.words !== undefined);
    return this.#resolve(values, words);
  }

  /**
   * Runs the task: a {@linkcode UserError} becomes one line, any other error keeps its stack trace.
   *
   * @param argv the words of the command line
   * @returns the exit code: 1 after an error
   */
  async run(argv: readonly string[]): Promise<number> {
    try {
      const { help, values, words } = this.settings.parse(argv, this.declaration.words !== undefined);
      if (help) {
        print(await this.help(values, help === "all"));
        return 0;
      }
      return await this.declaration.run(this.#resolve(values, words), argv) ?? 0;
    } catch (error) {
      say(describeError(error));
      return 1;
    }
  }

  /** The text of `--help`. */
  async help(values: Partial<Values<Table>> = {}, all = false): Promise<string> {
    const { name, about, words, preset, epilogue, examples = [] } = this.declaration;
    const command = typeof name === "string" ? name : name(values);
    const usage = `${startCommand(command)}${words === undefined ? "" : ` ${words}`}`;
    const commands = examples.map((words) => `${startCommand(command)} ${words}`);
    const flags = this.settings.help(usage, about, await preset?.(values), all, commands);
    const below = typeof epilogue === "function" ? await epilogue(values) : epilogue;
    return below === undefined ? flags : `${flags}\n\n${below}`;
  }

  #resolve(values: Partial<Values<Table>>, words: readonly string[]): Config {
    const { resolve } = this.declaration;
    return resolve ? resolve(values, words) : this.settings.resolve(values) as Config;
  }
}

/** Declares a task; its configuration is the table's values unless `resolve` makes another. */
export function task<Table extends Rows, Config = Values<Table>>(
  declaration: TaskDeclaration<Table, Config>,
): Task<Table, Config> {
  return new Task(declaration);
}

/** Runs a task as a program: `if (import.meta.main) await main(sampleTask)`. */
export async function main(task: { run(argv: readonly string[]): Promise<number> }): Promise<void> {
  const asksForHelp = Deno.args.some((word) => word === "--help" || word === "-h");
  if (!asksForHelp) (await import("./full_width.ts")).startWide();
  const code = await task.run(Deno.args);
  if (code !== 0) Deno.exit(code);
}

/** An error as shown to users: one line for a {@linkcode UserError}, else the stack trace. */
export function describeError(error: unknown): string {
  if (!(error instanceof UserError)) return Deno.inspect(error, { colors: false });
  const line = `${error.name}: ${error.message}`;
  // Compiler messages have several lines; a line break in any other message comes from a file or server, so it is
  // escaped.
  return error instanceof DeviceError ? line : printable(line);
}

/** The result of some work, or undefined if the signal stopped it. */
export async function unlessStopped<T>(
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!signal?.aborted || error !== signal.reason) throw error;
  }
}

/** Exit codes after a signal: 128 plus the signal's number. */
const exitCodes: Partial<Record<Deno.Signal, number>> = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };

/**
 * Listens for Ctrl-C, SIGTERM and the end of the terminal (SIGHUP). The first aborts `signal`, the second ends the
 * program immediately.
 *
 * @param onStop called at the first signal
 * @returns the signal, and the exit code of a task that it has stopped
 */
export function stopSignal(onStop: (signal: Deno.Signal) => void) {
  const signals = Object.keys(exitCodes) as Deno.Signal[];
  const stop = new AbortController();
  let exitCode = 0;
  const listeners = signals.filter((signal) => Deno.build.os !== "windows" || signal !== "SIGTERM")
    .map((signal) => {
      const listener = () => {
        exitCode = exitCodes[signal]!;
        if (stop.signal.aborted) Deno.exit(exitCode);
        stop.abort();
        onStop(signal);
      };
      Deno.addSignalListener(signal, listener);
      return () => Deno.removeSignalListener(signal, listener);
    });
  return {
    signal: stop.signal,
    get exitCode() {
      return exitCode;
    },
    [Symbol.dispose]: () => listeners.forEach((remove) => remove()),
  };
}
