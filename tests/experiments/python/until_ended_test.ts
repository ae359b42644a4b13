import assert from "node:assert/strict";
import { untilEnded } from "../../../experiments/python/until_ended.ts";

const ended = (code: number, signal: Deno.Signal | null = null) => ({
  status: Promise.resolve({ success: code === 0, code, signal }),
});

Deno.test("untilEnded() fails where a server does that nobody has stopped", async () => {
  const { signal: running } = new AbortController();
  await untilEnded("MLflow", ended(0), running, "x.log");
  await untilEnded("MLflow", ended(143, "SIGTERM"), AbortSignal.abort(), "x.log");
  await assert.rejects(untilEnded("MLflow", ended(1), running, "x.log"), {
    name: "PythonError",
    message: "Cannot go on serving: MLflow ended with exit code 1; see x.log",
  });
  await assert.rejects(untilEnded("JupyterLab", ended(137, "SIGKILL"), running, "above"), {
    name: "PythonError",
    message: "Cannot go on serving: JupyterLab ended by SIGKILL; see above",
  });
});
