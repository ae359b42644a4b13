import assert from "node:assert/strict";
import { PairedBatches } from "../../../experiments/training/loop.ts";
import { BatchOrder, type Coupling, couplings, independentCoupling } from "../../../models/mod.ts";
import { testNeeding } from "../../permissions.ts";
import { hostRows } from "../../../models/train/batches.ts";
import { assertSameNumbers } from "../../same_numbers.ts";
import { transportPairs } from "../../../models/flow/coupling.ts";

const [M, P] = [60, 9];
const labels = Uint32Array.from({ length: M }, (_, m) => m % 4);
const data = hostRows(Float32Array.from({ length: M * P }, (_, i) => Math.sin(i * i)), P, labels);
const makeOrder = () => new BatchOrder(Uint32Array.from({ length: M }, (_, m) => m), 16, 7);
const make = (coupling: Coupling) => new PairedBatches(makeOrder(), coupling, data, 3);

for (const [name, { make: makeCoupling }] of Object.entries(couplings)) {
  testNeeding(
    { read: true },
    `PairedBatches pairs by ${name} like the coupling itself, in any bursts`,
    async () => {
      const coupling: Coupling = makeCoupling();
      const order = makeOrder();
      const expected = Array.from(
        { length: 9 },
        (_, step) => coupling.pair(order.batch(step), { seed: 7, step }, data),
      );
      using whole = make(coupling);
      assert.deepEqual(await whole.batches(0, 9), expected);
      using parts = make(coupling);
      const found = [
        ...await parts.batches(0, 4),
        ...await parts.batches(4, 5),
        ...await parts.batches(5, 9),
      ];
      assert.deepEqual(found, expected);
      assertSameNumbers(await parts.batches(0, 2), expected.slice(0, 2)); // earlier steps again, as after trial steps
    },
  );
}

testNeeding(
  { read: true },
  "PairedBatches.costs() averages over the last steps, also after a resume",
  async () => {
    using all = make(transportPairs);
    await all.batches(0, 6);
    const costs = await all.costs(6);
    assert.ok(costs!.transport_cost < costs!.independent_cost && costs!.transport_cost > 0);
    assert.notDeepEqual(await all.costs(5), costs);
    using resumed = make(transportPairs);
    await resumed.batches(5, 6);
    assert.deepEqual(await resumed.costs(6), costs);
    assert.notEqual(await resumed.costs(1), undefined);
    assert.equal(await resumed.costs(0), undefined);
    using plain = make(independentCoupling);
    await plain.batches(0, 3);
    assert.equal(await plain.costs(3), undefined);
  },
);
