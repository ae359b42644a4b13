import assert from "node:assert/strict";
import { splitTest } from "../../../experiments/data/test_split.ts";
import { sorted, upTo } from "../../counting.ts";

const labels = Array.from({ length: 10_000 }, (_, i) => Math.floor(i / 1000)); // ten classes, one after the other

Deno.test("splitTest() holds out a tenth of each class, always the same", () => {
  const { train, test } = splitTest(labels);
  assert.deepEqual(sorted([...train, ...test]), upTo(10_000));
  for (const label of upTo(10)) assert.equal(test.filter((i) => labels[i] === label).length, 100);
  assert.deepEqual(splitTest(labels), { train, test });
});

Deno.test("splitTest() begins both parts with images of all classes alike", () => {
  const { train, test } = splitTest(labels);
  for (const [part, first] of [[train, 1000], [test, 500]] as const) {
    const counts = upTo(10).map((c) => part.slice(0, first).filter((i) => labels[i] === c).length);
    assert.ok(Math.min(...counts) >= first / 15 && Math.max(...counts) <= first / 7, `${counts}`);
  }
});

Deno.test("splitTest() takes one of two images, and none of one", () => {
  const { train, test } = splitTest([0, 0, 1, 2, 2, 2]);
  assert.deepEqual(test.map((i) => [0, 0, 1, 2, 2, 2][i]).sort(), [0, 2]);
  assert.equal(train.length, 4);
  assert.deepEqual(splitTest([5]), { train: [0], test: [] });
});
