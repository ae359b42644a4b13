import assert from "node:assert/strict";
import { type LiveJudge, reportHtml } from "../../../viz/report/mod.ts";
import { livePayload } from "../../../viz/report/live_payload.ts";
import { decode } from "../../../viz/report/page/decode.ts";
import { testNeeding } from "../../permissions.ts";
import { run } from "./made_up.ts";

const checkpoint = Uint8Array.of(1);
const reference = { values: Float32Array.from({ length: 12 }, (_, i) => i / 7), rows: 6, width: 2 };
const judge: LiveJudge = { weights: Uint8Array.of(5, 6), reference };
const examples = { shape: [2, 1, 1, 2], image: Float32Array.of(0, 1, 0.2, 0.4), labels: [3, 1] } as const;
const runs = [run("a"), run("b")];
const live = { library: "", checkpoints: [checkpoint, checkpoint] };

Deno.test("livePayload() keeps images to the byte, and features to half a step", () => {
  const data = { runs, live: { ...live, examples: [examples, undefined], judges: [judge, undefined] } };
  const { examples: kept, judge: held } = livePayload(data, 0)!;
  assert.deepEqual(kept!.shape, examples.shape);
  assert.deepEqual([...Uint8Array.fromBase64(kept!.image)], [0, 255, 51, 102]);
  assert.deepEqual(kept!.labels, [3, 1]);
  const step = 11 / 7 / 32767;
  decode(held!.reference).forEach((value, i) => assert.ok(Math.abs(value - i / 7) <= 0.51 * step));
  assert.deepEqual([held!.rows, held!.width, held!.script], [6, 2, 0]);
  assert.deepEqual(livePayload(data, 1), {}, "a network, and nothing to ask of it");
});

Deno.test("livePayload() has nothing of a run without samples, and says why a run is not live", () => {
  const data = {
    runs: [run("a", { trajectories: [] }), runs[1]],
    live: { ...live, checkpoints: [checkpoint, "no"] },
  };
  assert.equal(livePayload(data, 0), undefined);
  assert.deepEqual(livePayload(data, 1), { notLive: "no" });
});

Deno.test("livePayload() refuses images, labels and features that do not fill their shape", () => {
  const refused = (more: object, message: RegExp) =>
    assert.throws(() => livePayload({ runs, live: { ...live, ...more } }, 0), message);
  refused(
    { examples: [{ ...examples, image: Float32Array.of(0) }] },
    /^RangeError: Cannot report: test images are 1 /,
  );
  refused(
    { examples: [{ ...examples, labels: [1] }] },
    /labels of test images are 1 values \(expected \[2\]\)$/,
  );
  refused(
    { judges: [{ ...judge, reference: { ...reference, rows: 5 } }] },
    /features of test images are 12 values/,
  );
});

Deno.test("reportHtml() holds each judge once, and none for runs that are not live", () => {
  const scripts = (checkpoints: (Uint8Array | string)[], ...judges: LiveJudge[]) =>
    reportHtml({ runs, live: { ...live, checkpoints, judges } }).match(/id="judge-\d+">[^<]*/g);
  const same = { weights: judge.weights.slice(), reference };
  const other = { weights: Uint8Array.of(7), reference };
  assert.deepEqual(scripts([checkpoint, checkpoint], judge, same), ['id="judge-0">BQY=']);
  assert.equal(scripts([checkpoint, checkpoint], judge, other)?.length, 2);
  assert.deepEqual(scripts(["no", checkpoint], judge, other), ['id="judge-0">Bw==']);
});

testNeeding(
  { read: true },
  "reportHtml() grows by less than 700 kB for 24 digits, a judge and 500 test images",
  async () => {
    const weights = await Deno.readFile(
      new URL("../../../checkpoints/judge_mnist.safetensors", import.meta.url),
    );
    const features = Float32Array.from({ length: 500 * 84 }, (_, i) => i % 9 / 7);
    const reference = { values: features, rows: 500, width: 84 };
    const digits = {
      shape: [24, 1, 28, 28],
      image: new Float32Array(24 * 784),
      labels: new Uint8Array(24),
    } as const;
    const more = { examples: [digits], judges: [{ weights, reference }] };
    const one = { runs: [runs[0]], live: { library: "", checkpoints: [checkpoint] } };
    const grown = reportHtml({ ...one, live: { ...one.live, ...more } }).length - reportHtml(one).length;
    assert.ok(grown > weights.length && grown < 700_000, `${grown} bytes`);
  },
);
