import assert from "node:assert/strict";
import { tensor } from "../../../kernels/mod.ts";
import { timeDistributions } from "../../../models/mod.ts";
import { testOnDevices } from "../../testing.ts";

for (const [name, { settings, make }] of Object.entries(timeDistributions)) {
  const defaults = Object.fromEntries(
    Object.entries<{ default: number }>(settings).map(([key, setting]) => [key, setting.default]),
  );

  testOnDevices(`timeDistributions: ${name} draws times in [0, 1] from the key alone`, async () => {
    const distribution = (make as (settings: Record<string, number>) => ReturnType<typeof make>)(defaults);
    const draw = (counter: number, n: number) =>
      distribution.draw(tensor(Uint32Array.of(46020, 3, counter)), n).read();
    const t = await draw(0, 1000);
    assert.equal(t.length, 1000);
    assert.ok(t.every((t) => t >= 0 && t <= 1), `${t.slice(0, 9)}`);
    assert.ok(new Set(t).size > 900, "times differ");
    assert.deepEqual(await draw(0, 1000), t);
    assert.notDeepEqual(await draw(1, 1000), t);
  });
}
