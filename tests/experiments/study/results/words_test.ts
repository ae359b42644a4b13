import assert from "node:assert/strict";
import { meanOverSeeds } from "../../../../experiments/study/results/seed_intervals.ts";
import { listed, meanInWords, percent, shown } from "../../../../experiments/study/results/words.ts";

Deno.test("meanInWords() has the digits that the interval is sure of", () => {
  const of = (...values: number[]) => meanOverSeeds(new Map(values.map((value, i) => [i, value])));
  assert.equal(meanInWords("frechet", of(20.1, 22.4, 19)), "20.5 (16.2 to 24.8)");
  assert.equal(meanInWords("frechet", of(201, 224, 190)), "205 (162 to 248)");
  assert.equal(meanInWords("confident", of(0.977, 0.979, 0.98)), "97.87 % (97.49 % to 98.25 %)");
  assert.equal(meanInWords("test_loss", of(-0.01, -0.02)), "\u22120.015 (\u22120.079 to 0.049)");
  assert.equal(meanInWords("test_loss", of(0.123456)), "0.1235");
  assert.equal(meanInWords("frechet", of(7, 7)), "7 (7 to 7)", "an interval without width");
  assert.equal(meanInWords("confident", of(0.1, 0.1, 0.1)), "10 % (10 % to 10 %)", "nor with a rounded one");
  assert.equal(meanInWords("frechet", undefined), "");
});

Deno.test("percent(), shown() and listed() say numbers and names", () => {
  assert.deepEqual([0, 4e-7, 0.0345, 0.5, 1.234].map(percent), [
    "0 %",
    "below 0.01 %",
    "3.5 %",
    "50 %",
    "120 %",
  ]);
  assert.equal(shown("frechet", 1234.5), "1235");
  assert.equal(shown("confident", -0.004, 0.2), "0 %", "no minus sign before nothing");
  assert.deepEqual([[], ["a"], ["a", "b"], ["a", "b", "c"]].map(listed), ["", "a", "a and b", "a, b and c"]);
});
