import assert from "node:assert/strict";
import { PairedBatches } from "../../../experiments/training/loop.ts";
import { BatchOrder, type Coupling, couplings, independentCoupling } from "../../../models/mod.ts";
import { testNeeding } from "../../permissions.ts";
import { hostRows } from "../../../models/train/batches.ts";
import { assertClose } from "../../testing.ts";
import { assertSameNumbers } from "../../same_numbers.ts";
import { pairTransport, transportPairs } from "../../../models/flow/coupling.ts";

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
      const steps = Array.from({ length: 9 }, (_, step) => step);
      const expected = steps.map((step) => coupling.pair(order.batch(step), { seed: 7, step }, data));
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
    const costsOf = async (from: number, to: number) => {
      using batches = make(transportPairs);
      await batches.batches(from, to);
      return (await batches.costs(to))!;
    };
    const order = makeOrder();
    const pairings = [3, 4, 5].map((step) =>
      pairTransport(transportPairs.batch(order.batch(step), { seed: 7, step }, data))
    );
    const mean = (values: number[]) => values.reduce((sum, value) => sum + value) / values.length;
    const costs = await costsOf(0, 6);
    assertClose([costs.transport_cost, costs.independent_cost], [
      mean(pairings.map(({ cost }) => cost)),
      mean(pairings.map(({ independentCost }) => independentCost)),
    ], 1e-9);
    assert.ok(costs.transport_cost < costs.independent_cost);
    assert.deepEqual(await costsOf(5, 6), costs, "after a resume");
    using plain = make(independentCoupling);
    await plain.batches(0, 3);
    assert.deepEqual([await plain.costs(3), await make(transportPairs).costs(0)], [undefined, undefined]);
  },
);
