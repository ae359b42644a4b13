/** A program that starts itself once more with wide vectors: what stays the same, and when it does not. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { withFolder } from "../../folder.ts";
import { granted, testUnless, toRun } from "../../permissions.ts";

const flag = "--experimental-wasm-revectorize";

/** Prints how it was started, with what it reads, and ends with the code 7, or 8 after SIGTERM. */
const program = `
import { startWide } from "${new URL("../../../experiments/cli/full_width.ts", import.meta.url)}";
startWide(Deno.args[0] === "default" ? undefined : Deno.args[0]);
Deno.addSignalListener("SIGTERM", () => Deno.exit(8));
const { pid, args } = Deno;
const input = new TextDecoder().decode((await Deno.stdin.readable.getReader().read()).value);
console.log(JSON.stringify({ pid, args, input, flags: Deno.env.get("DENO_V8_FLAGS") }));
if (args[1] === "wait") setInterval(() => {}, 1000);
else Deno.exit(7);
`;

function reason(): string | undefined {
  if (!Object.keys(toRun).every((name) => granted(name as keyof typeof toRun))) return "needs --allow-all";
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") return "needs Linux on x86-64";
  // Another program reads it, because Deno lets only programs with --allow-all.
  const found = new Deno.Command("grep", { args: ["-qw", "avx2", "/proc/cpuinfo"] }).outputSync();
  if (!found.success) return "needs a processor with AVX2";
}

/** Runs the program with its process number, and reads the line that it prints. */
async function started(
  file: string,
  { flags, permissions = ["-A"], args = ["default"], signal }: {
    readonly flags?: string;
    readonly permissions?: readonly string[];
    readonly args?: readonly string[];
    readonly signal?: Deno.Signal;
  },
) {
  const { DENO_V8_FLAGS: _, ...others } = Deno.env.toObject();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", ...permissions, file, ...args],
    clearEnv: true,
    env: flags === undefined ? others : { ...others, DENO_V8_FLAGS: flags },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const input = child.stdin.getWriter();
  await input.write(new TextEncoder().encode("typed"));
  await input.close();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  if (signal) child.kill(signal);
  const [err, { code }] = await Promise.all([new Response(child.stderr).text(), child.status]);
  await child.stdout.cancel();
  assert.equal(err, "");
  return { ...JSON.parse(new TextDecoder().decode(value)), started: child.pid, code };
}

testUnless(
  reason(),
  "startWide() keeps the process, its input, arguments, exit code and signals",
  () =>
    withFolder(async (folder) => {
      const file = join(folder, "program.ts");
      await Deno.writeTextFile(file, program);
      const wide = await started(file, { args: ["default", "a b", ""] });
      assert.deepEqual(wide, {
        pid: wide.started,
        args: ["default", "a b", ""],
        input: "typed",
        flags: flag,
        started: wide.started,
        code: 7,
      });
      const stopped = await started(file, { args: ["default", "wait"], signal: "SIGTERM" });
      assert.deepEqual([stopped.flags, stopped.code], [flag, 8]);
      const besides = await started(file, { flags: "--expose-gc" });
      assert.equal(besides.flags, `--expose-gc,${flag}`);
    }),
);

testUnless(
  reason(),
  "startWide() leaves a program that has the flag, may not start it, or whose V8 lacks it",
  () =>
    withFolder(async (folder) => {
      const file = join(folder, "program.ts");
      await Deno.writeTextFile(file, program);
      const off = "--no-experimental-wasm-revectorize";
      const cases = [
        { flags: flag, expected: flag },
        { flags: off, expected: off },
        { permissions: ["-A", `--v8-flags=${flag}`], expected: undefined },
        { permissions: ["--allow-read", "--allow-env"], expected: undefined },
        {
          permissions: ["read", "env", "run", "ffi", "sys"].map((name) => `--allow-${name}`),
          expected: undefined,
        },
        { args: ["--no-such-flag-of-v8"], expected: undefined },
      ];
      for (const { expected, ...given } of cases) {
        const { flags, code } = await started(file, given);
        assert.deepEqual([flags, code], [expected, 7], JSON.stringify(given));
      }
    }),
);
