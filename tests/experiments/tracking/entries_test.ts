import assert from "node:assert/strict";
import { batches, keyOf, metricEntry, textEntry } from "../../../experiments/tracking/entries.ts";
import { backoffMs, Pauses, withRetries } from "../../../experiments/tracking/retry.ts";

Deno.test("keyOf() spells names as MLflow takes them", () => {
  const cases = {
    "train_loss": "train_loss",
    "system/gpu 0:used.bytes-1": "system/gpu 0:used.bytes-1",
    "größe": "größe",
    "lr%": "lr_",
    "a#b+c": "a_b_c",
    "/a//b/": "a/b",
    "a/../b": "a/_/b",
    "a..b": "a._b",
    "..": "_",
    "": "_",
    [`${"a".repeat(249)}/b`]: "a".repeat(249),
  };
  for (const [name, key] of Object.entries(cases)) assert.equal(keyOf(name), key, name);
});

Deno.test("metricEntry() sends whole steps and times, and words for what JSON lacks", () => {
  assert.deepEqual(metricEntry("loss", 0.5, 17.9, 3.5), { key: "loss", value: 0.5, timestamp: 17, step: 3 });
  for (const value of [NaN, Infinity, -Infinity]) {
    assert.equal(metricEntry("loss", value, 0, 0).value, String(value));
  }
});

Deno.test("textEntry() is always text, and shows that it was cut", () => {
  const values = [["text", "text"], [1, "1"], [false, "false"], [[4, 8], "[4,8]"]];
  for (const [value, text] of values) assert.equal(textEntry("param", "key", value).value, text);
  const long = textEntry("tag", "key", "x".repeat(9000)).value;
  assert.deepEqual([long.length, long.slice(-4)], [8000, "x..."]);
  assert.equal(textEntry("param", "key", "x".repeat(6000)).value.length, 6000);
});

Deno.test("batches() keeps order, and both limits", () => {
  const entries = Array.from({ length: 2500 }, (_, i) => ({ key: `k${i}`, value: "v" }));
  const all = batches(entries, 1000);
  assert.deepEqual(all.map(({ length }) => length), [1000, 1000, 500]);
  assert.deepEqual(all.flat(), entries);
  const long = Array.from({ length: 10 }, (_, i) => ({ key: `k${i}`, value: "ü".repeat(200) }));
  const short = batches(long, 100, 1000);
  assert.deepEqual(short.flat(), long);
  for (const batch of short) {
    assert.ok(new TextEncoder().encode(JSON.stringify(batch)).length <= 1000 + 2);
  }
  assert.deepEqual(batches([], 100), []);
  assert.deepEqual(batches(["too long for any request"], 100, 5), [["too long for any request"]]);
});

Deno.test("backoffMs() doubles from the second retry on, with jitter and a limit", () => {
  assert.deepEqual([1, 2, 3, 4].map((retry) => backoffMs(retry, 2, 0)), [0, 4_000, 8_000, 16_000]);
  assert.equal(backoffMs(1, 2, 0.5), 500);
  assert.equal(backoffMs(20, 2, 0.5), 120_000);
});

Deno.test("withRetries() tries as often as it may, and stops where another try is no use", async () => {
  const patience = { maxRetries: 3, backoffFactor: 0, timeoutMs: 1 };
  const count = async (waitFor: (error: unknown) => number | undefined, failures: number) => {
    let tries = 0;
    const work = () => ++tries <= failures ? Promise.reject(new Error(`try ${tries}`)) : Promise.resolve();
    const message = await withRetries(work, waitFor, { patience, pauses: new Pauses() })
      .catch((error: Error) => error.message);
    return [tries, message];
  };
  assert.deepEqual(await count(() => 0, 2), [3, undefined]);
  assert.deepEqual(await count(() => 0, 9), [4, "try 4"]);
  assert.deepEqual(await count(() => undefined, 9), [1, "try 1"]);
});

Deno.test("Pauses.wake() ends the present pause or the next one, and an aborted signal ends all", async () => {
  const pauses = new Pauses();
  const present = pauses.pause(1e6);
  pauses.wake();
  await present;
  pauses.wake();
  await pauses.pause(1e6);
  const stop = new AbortController();
  const aborted = pauses.pause(1e6, stop.signal);
  stop.abort(new Error("enough"));
  await assert.rejects(aborted, /enough/);
  await assert.rejects(pauses.pause(1e6, stop.signal), /enough/);
});
