import assert from "node:assert/strict";
import { matchWidths, nudged, widthsAt } from "../../../experiments/study/match_network.ts";

const base = { model: "base", filters: [8, 16, 32], attn: false, groups: 8 } as const;
const weights = (filters: readonly number[]) =>
  filters.reduce((sum, n, i) => sum + 9 * n * (filters[i - 1] ?? 1), 0);

Deno.test("matchWidths() finds the factor of the widths at which a count is reached", async () => {
  const target = weights([17, 34, 68]);
  const found = await matchWidths(base, (filters) => weights(filters) / target);
  assert.deepEqual(found, { filters: [17, 34, 68], ratio: 1 });
});

Deno.test("matchWidths() measures no more often than it may", async () => {
  let measured = 0;
  await matchWidths(base, (filters) => {
    measured++;
    return weights(filters) / 20_000;
  }, 7);
  assert.equal(measured, 7);
});

Deno.test("matchWidths() says so where no widths come near", async () => {
  await assert.rejects(matchWidths(base, (filters) => weights(filters) / 1e9), {
    name: "ConfigError",
    message:
      /^Cannot match the base network with filters 8,16,32: with 12\d,25\d,51\d it has 0\.00 times as much/,
  });
});

Deno.test("nudged() comes nearer by moving single levels", async () => {
  const ratio = (filters: readonly number[]) => weights(filters) / 75_000;
  const whole = await matchWidths(base, ratio);
  const near = await nudged(base, ratio, whole);
  const error = (ratio: number) => Math.abs(Math.log(ratio));
  assert.ok(error(near.ratio) < error(whole.ratio) && error(near.ratio) < 2e-3, `${near.ratio}`);
});

Deno.test("widthsAt() rounds a level that is normalised to a multiple of the groups", () => {
  assert.deepEqual(widthsAt(base, 1.3), [10, 21, 42]);
  assert.deepEqual(widthsAt({ ...base, attn: true }, 1.3), [10, 21, 40]);
  assert.deepEqual(widthsAt({ ...base, model: "residual" }, 1.6), [16, 24, 48]);
  assert.deepEqual(widthsAt({ ...base, model: "residual" }, 0.1), [8, 8, 8]);
});
