/**
 * Runs the tests and the examples in the docs: `deno task test`, with `--all` those, too, that take long. Given other
 * arguments, runs `deno test` with them.
 *
 * It starts several programs instead of `deno test --parallel`, whose threads crash now and then: the Vulkan loader
 * frees a device in one thread while another thread reads the list (Vulkan-Loader, issue 2018).
 */

import { posix } from "node:path";
import { fileURLToPath } from "node:url";
import { filesBelow, textOf } from "./module_graph.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const permissions = "--allow-read --allow-write --allow-run --allow-net=127.0.0.1 --allow-env --allow-sys"
  .split(" ");
const testing = ["test", "--lock=tests/deno.lock", ...permissions];

interface Job {
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Result of a program: counts of test results, and the failed tests with their errors. */
interface Ended extends Readonly<Record<"code" | "passed" | "failed" | "ignored", number>> {
  readonly errors: string;
}

/** The caller's flags; in such short programs, threads that compile and collect garbage take a quarter of the time. */
const v8Flags = [Deno.env.get("DENO_V8_FLAGS") ?? [], "--single-threaded"].flat().join();

/** Runs Deno in the root of the repository, and prints the output at the end. */
async function run({ args, env = {} }: Job): Promise<Ended> {
  const { code, signal, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: root,
    env: { DENO_V8_FLAGS: v8Flags, ...env },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  // deno-lint-ignore no-control-regex
  const output = (decoder.decode(stdout) + decoder.decode(stderr)).replaceAll(/\x1b\[[0-9;]*m/g, "");
  console.log(output.trimEnd());
  // The last line of `deno test`: `ok | 12 passed (3 steps) | 0 failed | 1 ignored (2s)`.
  const [summary = ""] = output.match(/^(ok|FAILED) \| \d+ passed.*$/gm)?.slice(-1) ?? [];
  const count = (word: string) => Number(new RegExp(`(\\d+) ${word}`).exec(summary)?.[1] ?? 0);
  const totals = { passed: count("passed"), failed: count("failed"), ignored: count("ignored") };
  const crashed = signal !== null || code !== 0 && totals.failed === 0;
  if (crashed) console.log(`Ended by ${signal ?? `exit code ${code}`}: deno ${args.join(" ").slice(0, 300)}`);
  return { code, ...totals, errors: /^ ERRORS $(.*?)^ FAILURES $/ms.exec(output)?.[1].trim() ?? "" };
}

/**
 * Programs for test files. Many files share one, since loading the library and compiling its kernels takes a second,
 * and all that open pages in a browser, so that it starts once. Programs that wait come first, so that others fill the
 * gaps.
 */
function testsOf(files: readonly (readonly [path: string, text: string])[]): Job[] {
  const kinds = Map.groupBy(files, ([path, text]) => kindOf(path, text));
  return (["browsers", "waiting", "computing", "kernels"] as const).flatMap((kind) => {
    const all = (kinds.get(kind) ?? []).map(([path]) => path);
    const parts = kind === "browsers" ? 1 : Math.ceil(all.length / 32);
    // Lavapipe's threads wait for each other at every kernel, a third of the time for networks as small as in tests.
    const env: Record<string, string> = kind === "kernels" ? {} : { LP_NUM_THREADS: "0" };
    return Array.from({ length: parts }, (_, part) => ({
      args: [
        ...testing,
        ...["--no-check", "tests/joined_files.ts", "--"],
        ...all.slice(part * all.length / parts, (part + 1) * all.length / parts),
      ],
      env,
    }));
  });
}

/** What the tests of a file mostly do: wait for a browser or programs, or compute. */
function kindOf(path: string, text: string): "browsers" | "waiting" | "computing" | "kernels" {
  if (/\btest(InBrowser|InOtherBrowsers|Report)\w*\(/.test(text)) return "browsers";
  const folder = posix.dirname(path);
  if (/^tests(\/(ci|denow|experiments|npm|web)\b.*)?$/.test(folder)) return "waiting";
  return /^tests\/kernels(\/ops)?$/.test(folder) ? "kernels" : "computing";
}

/** Runs the test files, and returns the exit code. Types, also those of examples, are checked by `deno task ok`. */
async function runFiles(all: boolean): Promise<number> {
  const start = performance.now();
  const paths = (await filesBelow("tests/")).filter((path) => path.endsWith("_test.ts")).sort();
  const files = await Promise.all(paths.map(async (path) => [path, await textOf(path)] as const));
  const left = testsOf(files).map(({ args, env }) => ({
    args,
    env: { ...env, ...!all && { FLOW_TESTS: "short" } },
  }));
  const ended: Ended[] = [];
  // One program more than there are cores: while one waits for a server, another works.
  await Promise.all(Array.from({ length: navigator.hardwareConcurrency + 1 }, async () => {
    for (let job; (job = left.shift());) ended.push(await run(job));
  }));
  const sum = (of: "passed" | "failed" | "ignored") => ended.reduce((sum, each) => sum + each[of], 0);
  const seconds = Math.round((performance.now() - start) / 1000);
  // Again at the end, where people look first, and which is left when a log is cut.
  for (const { errors } of ended) {
    if (errors !== "") console.log(`\nFailed:\n${errors.replaceAll(/^/gm, "  ")}`);
  }
  const counts = `${sum("passed")} passed, ${sum("failed")} failed, ${sum("ignored")} ignored`;
  console.log(`Tests: ${counts}, in ${Math.floor(seconds / 60)} min ${seconds % 60} s`);
  const others = "pages in Firefox and WebKit, kernels compiled for AMD and NVIDIA, and checks of types";
  if (!all) console.log(`Not run: ${others} (deno task test --all)`);
  return ended.some(({ code }) => code !== 0) ? 1 : 0;
}

const all = Deno.args.join() === "--all";
if (all || Deno.args.length === 0) Deno.exit(await runFiles(all));
const { code } = await new Deno.Command(Deno.execPath(), { args: [...testing, ...Deno.args], cwd: root })
  .spawn().status;
Deno.exit(code);
