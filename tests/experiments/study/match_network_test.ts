import assert from "node:assert/strict";
import { loadDataset } from "../../../experiments/data/load_dataset.ts";
import { trainingConfig } from "../../../experiments/cli/training_config.ts";
import { matchWidths, nudged, widthsAt } from "../../../experiments/study/match_network.ts";
import { timeNetworks } from "../../../experiments/study/time_networks.ts";
import { currentDevice, init } from "../../../kernels/mod.ts";
import { testInFolder } from "../../folder.ts";
import { replacing } from "../../replacing.ts";
import { writeTinyIdx } from "../data/tiny_idx.ts";

const base = { model: "base", filters: [8, 16, 32], attn: false, groups: 8 } as const;
const weights = (filters: readonly number[]) =>
  filters.reduce((sum, n, i) => sum + 9 * n * (filters[i - 1] ?? 1), 0);

Deno.test("matchWidths() finds the factor of the widths that matches a count", async () => {
  const target = weights([17, 34, 68]);
  const found = await matchWidths(base, (filters) => weights(filters) / target);
  assert.deepEqual(found, { filters: [17, 34, 68], ratio: 1 });
});

Deno.test("matchWidths() respects its maximum number of measurements, and reports if no widths match", async () => {
  let measured = 0;
  const ratio = (filters: readonly number[]) => {
    measured++;
    return weights(filters) / 20_000;
  };
  await matchWidths(base, ratio, 7);
  assert.equal(measured, 7);
  await assert.rejects(matchWidths(base, (filters) => weights(filters) / 1e9), {
    name: "ConfigError",
    message:
      /^Cannot match the base network with filters 8,16,32: with 12\d,25\d,51\d it is 0\.00 times the target/,
  });
});

Deno.test("nudged() improves a match by changing single levels", async () => {
  const ratio = (filters: readonly number[]) => weights(filters) / 75_000;
  const whole = await matchWidths(base, ratio);
  const near = await nudged(base, ratio, whole);
  const error = (ratio: number) => Math.abs(Math.log(ratio));
  assert.ok(error(near.ratio) < error(whole.ratio) && error(near.ratio) < 2e-3, `${near.ratio}`);
});

Deno.test("widthsAt() rounds a normalised level to a multiple of the groups", () => {
  assert.deepEqual(widthsAt(base, 1.3), [10, 21, 42]);
  assert.deepEqual(widthsAt({ ...base, attn: true }, 1.3), [10, 21, 40]);
  assert.deepEqual(widthsAt({ ...base, model: "residual" }, 1.6), [16, 24, 48]);
  assert.deepEqual(widthsAt({ ...base, model: "residual" }, 0.1), [8, 8, 8]);
});

testInFolder(
  "timeNetworks() alternates between networks, and restores the device in use",
  async (folder) => {
    await writeTinyIdx(`${folder}/data`);
    const data = await loadDataset(`${folder}/data`);
    const device = await init({ device: "cpu", threads: 1 });
    const config = (filters: readonly number[], coupling: string) =>
      trainingConfig({
        model: "base",
        filters,
        coupling,
        tEmb: 8,
        batchSize: 8,
        maxSteps: 1,
        conditional: false,
      });
    const options = { device: "cpu", threads: 1, signal: new AbortController().signal } as const;
    const now = performance.now.bind(performance);
    using _ = replacing([performance, { now: () => 8 * now() }]); // so that the intervals are short
    const [small, large] = await timeNetworks(
      [config([2, 4], "ot"), config([64, 128], "independent")],
      data,
      options,
    );
    // Hundreds of times the arithmetic, so that no other program can reverse the order.
    assert.ok(small > 0 && small < large, `${small} and ${large} seconds`);
    assert.equal(currentDevice(), device);
    device.close();
  },
);
