import assert from "node:assert/strict";
import { untilEnded } from "../../../experiments/python/until_ended.ts";

const running = { signal: new AbortController().signal, exitCode: 0, [Symbol.dispose]() {} };
const stopped = { ...running, signal: AbortSignal.abort(), exitCode: 143 };
const ended = (code: number, signal: Deno.Signal | null = null) => ({
  status: Promise.resolve({ success: code === 0, code, signal }),
});

Deno.test("untilEnded() gives the exit code of who stopped it, and fails where the server does", async () => {
  assert.equal(await untilEnded("MLflow", ended(0), running, "x.log"), 0);
  assert.equal(await untilEnded("MLflow", ended(0), stopped, "x.log"), 143);
  assert.equal(await untilEnded("MLflow", ended(143, "SIGTERM"), stopped, "x.log"), 143);
  await assert.rejects(untilEnded("MLflow", ended(1), running, "x.log"), {
    name: "PythonError",
    message: "Cannot go on serving: MLflow ended with exit code 1; see x.log",
  });
  await assert.rejects(untilEnded("JupyterLab", ended(137, "SIGKILL"), running, "above"), {
    name: "PythonError",
    message: "Cannot go on serving: JupyterLab ended by SIGKILL; see above",
  });
});
