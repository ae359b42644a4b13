import assert from "node:assert/strict";
import {
  add,
  currentDevice,
  full,
  gradients,
  init,
  matmul,
  multiply,
  record,
  reshape,
  scope,
  square,
  sum,
  tensor,
  withDevice,
} from "../../../kernels/mod.ts";
import { assertClose, testOnCpu, testOnDevices } from "../../testing.ts";

testOnCpu("scope() frees what it does not return, also in lists, sets, cycles and inner scopes", async () => {
  class Layer {
    readonly weight = full([2], 3);
    readonly self = this;
  }
  let inner, escaped;
  const [layer, set, list] = scope(() => {
    inner = full([4], 1);
    escaped = scope(() => full([4], 1));
    return [new Layer(), new Set([full([1], 4)]), { list: [add(inner, 1), add(escaped, 1)] }] as const;
  });
  assertClose(await layer.weight.read(), [3, 3], 0);
  assertClose(await [...set][0].read(), [4], 0);
  for (const kept of list.list) assertClose(await kept.read(), [2, 2, 2, 2], 0);
  for (const freed of [inner!, escaped!]) {
    assert.throws(() => add(freed, 1), /Cannot use a tensor after its scope has ended/);
  }
});

testOnCpu("scope() keeps the history of tensors made outside it", async () => {
  const x = tensor([1, 2]);
  const y = square(x);
  const [same, view] = scope(() => [y, reshape(y, [1, 2])]);
  assertClose(await gradients(sum(same), [x])[0].read(), [2, 4], 0);
  assertClose(await gradients(sum(view), [x])[0].read(), [2, 4], 0);
});

testOnCpu("scope() removes the history of its results, also in a recorded step", async () => {
  const x = tensor([1, 2]);
  const inside = () => {
    const made = scope(() => {
      const inner = scope(() => multiply(x, 2));
      return [inner, reshape(inner, [1, 2])];
    });
    assert.deepEqual(made.map(({ history }) => history), [undefined, undefined]);
    return made;
  };
  inside();
  const y = square(x);
  const step = record(() => [...inside(), y]);
  step.run();
  assertClose(await step.result[0].read(), [2, 4], 0);
  assertClose(await gradients(sum(y), [x])[0].read(), [2, 4], 0);
});

testOnDevices("scope() frees memory for reuse: a hundred rounds need no more than one", () => {
  const round = () =>
    scope(() => {
      multiply(full([1000], 2), full([1000], 3));
    });
  round();
  const before = currentDevice().allocatedBytes;
  for (let i = 0; i < 100; i++) round();
  assert.ok(currentDevice().allocatedBytes <= before);
});

Deno.test("tensor() before init() says what to do", () => {
  const none = undefined as unknown as ReturnType<typeof currentDevice>;
  assert.throws(() => withDevice(none, () => tensor([1])), {
    name: "DeviceError",
    message: /await init\(\)/,
  });
});

testOnDevices("a tensor of another device, also of the same kind, is refused", async (device) => {
  const [one, two] = [await init({ device: "cpu" }), await init({ device: "cpu" })];
  const [x, y, z] = [device, one, two].map((each) => withDevice(each, () => tensor([1])));
  assert.throws(() => withDevice(one, () => add(x, y)), /Cannot run add: f32\[1\] lives on cpu/);
  assert.equal(currentDevice(), two);
  assert.throws(() => add(y, z), /lives on cpu, the others on another cpu; .*after the last init\(\)/);
});

testOnDevices("ops and gradients run on their tensors' device, whichever is in use", async (device) => {
  const other = await init({ device: "cpu" });
  const on = <T>(run: () => T) => withDevice(device, run);
  const x = on(() => tensor([1, 2, 3, 4], [2, 2]));
  const [many, few, none] = on(() =>
    [full([2, 3, 2, 2], 1), full([2, 1, 2, 2], 1), full([0, 2], 1)] as const
  );
  await withDevice(other, async () => {
    const [dx] = gradients(sum(multiply(x, square(x))), [x]);
    assertClose(await gradients(sum(dx), [x])[0].read(), [6, 12, 18, 24], 1e-5);
    assert.equal(matmul(many, few).device, device);
    assert.equal(sum(none, [0]).device, device);
  });
});

testOnDevices("a device keeps working after a failed allocation", async () => {
  assert.throws(() => full([1e6, 1e6], 0), {
    name: "DeviceError",
    message: /^Cannot allocate .*; use a smaller/,
  });
  assertClose(await add(full([1], 1), 1).read(), [2], 0);
});
