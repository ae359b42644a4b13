import assert from "node:assert/strict";
import { type Comparison, reportHtml, type ReportRun } from "../../../viz/report/mod.ts";
import { madeUpFlow } from "../flow/made_up_flow.ts";
import { hostile, one, plane, quality, run, size, two } from "./made_up.ts";

Deno.test("reportHtml() escapes a user's text", () => {
  const page = reportHtml(one);
  assert.equal(page.split("<img src=x").length, 1, "a user's tag is not escaped");
  assert.equal(page.match(/<\/script/g)?.length, 3);
  assert.equal(page.match(/<img /g)?.length, 1);
  assert.ok(
    page.includes("&#60;/script&#62;&#60;img src=x onerror=&#34;document.title=&#39;hurt&#39;&#34;&#62;"),
  );
  assert.ok(!page.includes('onerror="'), "a user's attribute is not escaped");
});

Deno.test("reportHtml() says how a stopped or failed run ended", () => {
  const ending = "Failed after step 3: <b>the loss</b> is NaN.";
  const page = reportHtml({ runs: [run("a"), run("b", { ending })] });
  const said = '<p class="ending">Failed after step 3: &#60;b&#62;the loss&#60;/b&#62; is NaN.</p>';
  assert.equal(page.split(said).length, 2);
  assert.ok(page.indexOf(said) > page.indexOf("<b>b</b>: "));
  assert.equal(page.split('<p class="ending">').length, 2, "other runs say nothing");
});

Deno.test("reportHtml() does not speak of digits, as images may be any", () => {
  const words = reportHtml(two).replace(/<(script|style)[\s\S]*?<\/\1>/g, "");
  assert.doesNotMatch(words, /digit|MNIST/i);
});

Deno.test("reportHtml() requests nothing outside the file", () => {
  const markup = reportHtml(two).replace(/<script[\s\S]*?<\/script>/g, "");
  const addresses = [...markup.matchAll(/\b(?:src|href)="([^"]{0,20})/g)].map(([, address]) => address);
  assert.ok(
    addresses.length >= 3 && addresses.every((address) => address.startsWith("data:")),
    `${addresses}`,
  );
  assert.doesNotMatch(markup, /url\(|@import/);
});

Deno.test("reportHtml() refuses equal names, and numbers that are not finite", () => {
  assert.throws(
    () => reportHtml({ runs: [] }),
    /^RangeError: Cannot report: no run is given \(expected at least 1\)$/,
  );
  assert.throws(
    () => reportHtml({ runs: [run(hostile), run(hostile)] }),
    /^RangeError: Cannot report: two runs are named .* \(expected a name for each\)$/,
  );
  const [trajectory] = run("a").trajectories;
  const broken = { ...trajectory, image: trajectory.image.with(3, NaN) };
  assert.throws(
    () => reportHtml({ runs: [run("a", { trajectories: [broken] })] }),
    /^RangeError: Cannot report runs.0.trajectories.0.image: value 3 is NaN/,
  );
});

Deno.test("reportHtml() refuses arrays that do not fill their shapes, and different image sizes", () => {
  const refuses = (data: Partial<ReportRun>, message: string) =>
    assert.throws(() => reportHtml({ runs: [run("a"), run("b", data)] }), { name: "RangeError", message });
  const { H, W } = size;
  const whole = plane(6, 20);
  const { real } = whole;
  const { samples } = quality();
  const checkpoint = Uint8Array.of(1);
  const tests = { shape: [2, 1, 1, 2], image: Float32Array.of(0, 1, 0.2, 0.4), labels: [3, 1] } as const;
  const judge = { weights: checkpoint, reference: { values: new Float32Array(12), rows: 5, width: 2 } };
  const cases: [Partial<ReportRun>, string][] = [
    ...([
      ["times", "t", "[6]"],
      ["positions", "position", "[6, 20, 2]"],
      ["velocities", "velocity", "[5, 20, 2]"],
      ["speeds", "speed", "[5, 20]"],
      ["straightnesses", "straightness", "[5, 20]"],
      ["images", "image", "[20, 1, 12, 12]"],
    ] as const).map(([name, field, shape]): [Partial<ReportRun>, string] => [
      { plane: { ...whole, [field]: whole[field].subarray(1) } },
      `${name} of the plane are ${whole[field].length - 1} values (expected ${shape})`,
    ]),
    [{ plane: { ...whole, classes: [1] } }, "classes of the plane are 1 values (expected [20])"],
    [
      { plane: { ...whole, conditioning: { labels: [1], guidance: 2 } } },
      "labels of the plane are 1 values (expected [20])",
    ],
    [
      { plane: { ...whole, image: new Float32Array(20 * 9 * W), shape: [6, 20, 9, W] } },
      'images of "a" are 12 x 12, those of "b" 9 x 12 (expected one size)',
    ],
    [
      { trajectories: [madeUpFlow(1, 1, [H, W])] },
      'a trajectory of "b" has one snapshot (expected 2 or more)',
    ],
    [
      { plane: { ...whole, real: { ...real, classes: new Uint8Array(29) } } },
      "real images of the plane are 60 values (expected [29, 2])",
    ],
    [
      { trajectories: [madeUpFlow(1, 11, [H, W]), madeUpFlow(2, 3, [H, W])] },
      'trajectories of "b" have different times, 11 and 3 of them (expected the same)',
    ],
    [
      { trajectories: [madeUpFlow(1, 11, [9, W])] },
      'images of "a" are 12 x 12, those of "b" 9 x 12 (expected one size)',
    ],
    [
      { quality: quality({ samples: { ...samples!, nearest: samples!.nearest.subarray(9) } }) },
      "training images nearest to samples are 1143 values (expected [4, 2, 1, 12, 12])",
    ],
    [
      { live: { checkpoint, tests: { ...tests, image: Float32Array.of(0) } } },
      "test images are 1 values (expected [2, 1, 1, 2])",
    ],
    [
      { live: { checkpoint, tests: { ...tests, labels: [1] } } },
      "labels of test images are 1 values (expected [2])",
    ],
    [{ live: { checkpoint, judge } }, "features of test images are 12 values (expected [5, 2])"],
    [{ live: { checkpoint } }, 'the network of "b" is given without the library to sample with'],
  ];
  for (const [data, problem] of cases) refuses(data, `Cannot report: ${problem}`);
  const comparison = two.comparison!;
  const other: [Partial<Comparison>, string][] = [
    [{ points: comparison.points.slice(1) }, "sets of points are 1 values (expected [2])"],
    [{ velocities: comparison.velocities.slice(1) }, "sets of velocities are 2 values (expected [2, 2])"],
    [{ difference: [] }, "differences of velocities are 0 values (expected [2, 2, 2, 4])"],
    [{ t: Float32Array.of(0, 0.5) }, "times of the comparison are 2 values (expected [4])"],
    [{ labels: [1] }, "labels of the comparison are 1 values (expected [2])"],
  ];
  for (const [data, problem] of other) {
    const message = `Cannot report: ${problem}`;
    assert.throws(() => reportHtml({ ...two, comparison: { ...comparison, ...data } }), {
      name: "RangeError",
      message,
    });
  }
});

Deno.test("reportHtml() finds the learning rate of a row by its step", () => {
  const step = Array.from({ length: 20 }, (_, i) => i + 1);
  const { learningRate } = run("a", { learningRate: { step, value: step.map((s) => s / 1000) } });
  const page = reportHtml({
    runs: [run("a", { learningRate, trainLoss: { step, value: step.map((s) => s === 3 ? NaN : 1) } })],
  });
  for (const s of [2, 4, 20]) assert.ok(page.includes(`<td>${s}</td><td>1</td><td>${s / 1000}</td>`), `${s}`);
});

Deno.test("reportHtml() has a text on the plane of each run, and shows the first", () => {
  const { classifier: _, ...other } = plane(3, 9);
  const page = reportHtml({
    runs: [
      run("a"),
      run("b", { plane: { ...other, conditioning: { labels: new Uint8Array(9), guidance: 2 } } }),
    ],
  });
  const words = [...page.matchAll(/<div data-plane="(\d)"( hidden)?>([^]*?)<\/div>/g)]
    .map(([, run, hidden, text]) => [run, hidden, text] as const);
  assert.deepEqual(words.map(([run, hidden]) => [run, hidden]), [
    ["0", undefined],
    ["1", " hidden"],
    ["0", undefined],
    ["1", " hidden"],
  ]);
  const [[, , first], [, , second], [, , below], [, , belowSecond]] = words;
  assert.ok(first.startsWith("<p>20 samples from noise to data (5 Euler steps"), first);
  assert.ok(second.startsWith("<p>9 samples from noise to data (2 Euler steps"), second);
  assert.match(below.replaceAll("\n", " "), /right on 9 of 10 held-out images/);
  assert.match(
    belowSecond,
    /^<p class="small">The samples were drawn for all classes in turn, at guidance 2/,
  );
});

Deno.test("reportHtml() leaves out what a run does not have", () => {
  const { lossByTime: _, samplesPng: __, plane: ___, ...rest } = run("bare");
  const page = reportHtml({ runs: [{ ...rest, trajectories: [] }] });
  for (const id of ["clock", "explorer", "plane-chart", "bins-chart"]) {
    assert.ok(!page.includes(`id="${id}"`), id);
  }
  assert.ok(page.includes('id="loss-chart"'));
});
