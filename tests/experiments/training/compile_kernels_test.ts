import assert from "node:assert/strict";
import { compileKernels } from "../../../experiments/training/network.ts";

/** What is written while three kernels compile in `kernelMs` milliseconds each. */
async function shown(isTerminal: boolean, kernelMs: number): Promise<string> {
  let text = "", ms = 0;
  const terminal = { isTerminal, columns: () => 80, write: (more: string) => void (text += more) };
  const compile = (progress: (done: number, all: number) => void) => {
    for (let done = 1; done <= 3; done++) {
      ms += kernelMs;
      progress(done, 3);
    }
    return Promise.resolve();
  };
  await compileKernels({ compile }, terminal, () => ms);
  return text;
}

Deno.test("compileKernels() shows progress if it takes a while, then clears the line", async () => {
  assert.equal(await shown(true, 600), "\rcompiling kernels 2/3\x1b[K\rcompiling kernels 3/3\x1b[K\r\x1b[K");
  assert.equal(await shown(false, 600), "compiling kernels, 3 in all\n");
});

Deno.test("compileKernels() shows nothing if it is fast", async () => {
  assert.equal(await shown(true, 10) + await shown(false, 10), "");
});
