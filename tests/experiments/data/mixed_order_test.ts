import assert from "node:assert/strict";
import { mixedOrder } from "../../../experiments/data/mixed_order.ts";
import { shuffled } from "../../../experiments/data/test_split.ts";

const order = (labels: readonly number[]) => mixedOrder({ labels, count: labels.length });
const labelled = (label: (n: number) => number, count = 1000) =>
  Array.from({ length: count }, (_, n) => label(n));

Deno.test("mixedOrder() leaves images in their order unless they stand class by class", () => {
  const random = [...shuffled(1000)];
  assert.equal(order(labelled((n) => random[n] % 10)), undefined);
  assert.equal(order(labelled((n) => random[n] < 20 ? 1 : 0)), undefined, "classes of unequal sizes");
  assert.equal(order(labelled((n) => n % 10)), undefined, "in turn");
  assert.equal(order(labelled(() => 3)), undefined, "one class");
  assert.equal(order([7]), undefined);
  assert.equal(mixedOrder({ count: 1000 }), undefined, "nothing tells");
});

Deno.test("mixedOrder() puts images that stand class by class in random order, always the same", () => {
  const sorted = {
    "sorted": (n: number) => Math.floor(n / 100),
    "in files that are sorted": (n: number) => Math.floor(n / 20) % 10,
    "mostly of one class": (n: number) => n < 980 ? 0 : 1,
  };
  for (const [what, label] of Object.entries(sorted)) {
    const labels = labelled(label);
    const found = order(labels)!;
    assert.deepEqual(found, shuffled(1000), what);
    assert.equal(order(Array.from(found, (n) => labels[n])), undefined, `${what}, once mixed`);
  }
});
