import assert from "node:assert/strict";
import { reportHtml } from "../../../viz/report/mod.ts";
import { quality, run } from "./made_up.ts";

Deno.test("reportHtml() says how many real images there are, if not as many as samples", () => {
  const [figure] = quality().figures;
  const page = (realCount?: number) =>
    reportHtml({
      runs: [run("a", { quality: quality({ figures: [{ ...figure, ...realCount && { realCount } }] }) })],
    });
  assert.match(page(1027), /<title>1,027 real images: [^]*\(1,027 images\)/);
  assert.match(page(), /<title>real images: /);
});

Deno.test("reportHtml() has the figures and verdicts of each judge side by side", () => {
  const { samples, figures: [recognised] } = quality();
  const second = { confidence: Float32Array.of(0.9, 0.4, 0.8, 1), classes: [0, 1, 0, 1] };
  const page = reportHtml({
    runs: [run("a", {
      quality: quality({
        figures: [{ ...recognised, judge: "lenet" }, { ...recognised, judge: "vgg", value: 0.88 }],
        samples: { ...samples!, second },
      }),
      classNames: ["cat", "owl"],
    })],
  });
  const rows = [
    ...page.matchAll(/<th scope="row">(Recognised[^<]*)<\/th>.*?<div>([^<]*)<\/div>.*?small">([^<]*)</gs),
  ];
  assert.deepEqual(rows.map(([, ...cells]) => cells.slice(0, 3)), [
    ["Recognised (lenet)", "90.0 %", "Share that a judge recognises."],
    ["Recognised (vgg)", "88.0 %", "By another classifier."],
  ]);
  const [, caption] = page.match(/<figcaption>(3<br>[^/]*)<\/figcaption>/)!;
  assert.equal(caption, "3<br>0.30<br>cat<br>0.90");
});
