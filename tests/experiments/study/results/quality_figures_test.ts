import assert from "node:assert/strict";
import { qualityFigures } from "../../../../experiments/study/results/quality_figures.ts";
import { type MadeUpSetup, summaryOf, twoNetworks } from "./made_up_study.ts";

/** The points of a trace, as Plotly decodes them. */
function valuesOf(trace: object, axis: "x" | "y"): number[] {
  const { bdata } = Object(Reflect.get(trace, axis));
  return [...new Float32Array(Uint8Array.fromBase64(bdata).buffer)];
}

const figuresOf = (setups: readonly MadeUpSetup[]) => qualityFigures(summaryOf(setups))!;

Deno.test("qualityFigures() draws means and intervals against images, parameters and seconds", () => {
  const { figures, stills, legend } = figuresOf(twoNetworks);
  assert.deepEqual(legend.map(({ name }) => name), ["base", "residual"]);
  assert.deepEqual([figures.length, stills.length], [3, 3]);
  const axes = figures.map(({ plotly }) => Object(plotly.layout.xaxis).title.text);
  assert.deepEqual(axes, ["images trained on", "parameters", "seconds of training"]);
  const [, { plotly: { data } }] = figures;
  const [, , point, bar] = data;
  assert.deepEqual([valuesOf(point, "x"), valuesOf(point, "y")[0].toFixed(2)], [[4000], "14.17"]);
  assert.deepEqual(valuesOf(bar, "x"), [4000, 4000, NaN]);
  assert.deepEqual(valuesOf(bar, "y").map((y) => y.toFixed(1)), ["11.2", "17.2", "NaN"]);
  assert.ok(stills.every(({ svg }) => !svg.includes(">residual<")), "the row has the legend");
});

Deno.test("qualityFigures() joins setups that differ only in width, and the points of a run", () => {
  const wide = (filters: string, share: number, frechet: number, parameters: number): MadeUpSetup => ({
    ...{ settings: { filters, share }, frechet: [frechet, frechet + 1], parameters },
    more: () => ({ images: 32_000 * share }),
  });
  const { figures: [ofImages, ofParameters] } = figuresOf([
    wide("16,32", 1, 12, 4000),
    wide("8,16", 1, 20, 1000),
    wide("8,16", 0.5, 30, 1000),
  ]);
  const line = ({ plotly: { data } }: typeof ofImages) =>
    data.filter(({ mode }) => mode === "lines").slice(0, 1);
  assert.deepEqual(line(ofParameters).map((trace) => valuesOf(trace, "x")), [[1000, 4000]]);
  assert.deepEqual(line(ofImages).map((trace) => valuesOf(trace, "x")), [[16_000, 32_000]]);

  const course = (seed: number) => ({
    course: [1000, 2000].map((images) => ({
      images,
      seconds: images / 100 + seed,
      frechet: 5e4 / images + seed,
    })),
  });
  const [withCourse] = figuresOf(twoNetworks.map((setup) => ({ ...setup, more: course }))).figures;
  const [drawn] = withCourse.plotly.data;
  assert.deepEqual([valuesOf(drawn, "x"), valuesOf(drawn, "y")], [[1000, 2000], [52, 27]]);
});

Deno.test("qualityFigures() spreads setups at the same x in a still, within its axis, and says so", () => {
  const many = Array.from({ length: 11 }, (_, i) => ({ settings: { groups: i }, frechet: [20 + i, 21 + i] }));
  const { figures: [figure], stills: [still] } = figuresOf(many);
  const points = ({ plotly: { data } }: typeof still) =>
    data.filter(({ mode }) => mode === "markers").flatMap((trace) => valuesOf(trace, "x"));
  const axisOf = ({ plotly: { layout } }: typeof still) => Object(layout.xaxis);
  const [, end] = axisOf(still).range;
  assert.equal(new Set(points(still)).size, 11);
  assert.ok(Math.max(...points(still)) < 0.98 * end, `${points(still)} of ${end}`);
  assert.equal(axisOf(still).title.text, "images trained on (all 32,000, drawn apart)");
  assert.deepEqual([...new Set(points(figure))], [32_000]);
  assert.equal(axisOf(figure).title.text, "images trained on");
});

Deno.test("qualityFigures() has a logarithmic axis for values that span a decade", () => {
  const axes = [9_990, 10_000].map((parameters) => {
    const { plotly: { layout } } = figuresOf([twoNetworks[0], { ...twoNetworks[1], parameters }]).figures[1];
    return Object(layout.xaxis).type;
  });
  assert.notEqual(axes[0], "log");
  assert.equal(axes[1], "log");
});

Deno.test("qualityFigures() has colours for many setups, and draws nothing without a figure", () => {
  const many = Array.from({ length: 9 }, (_, i) => ({ settings: { groups: i }, frechet: [20 + i, 21 + i] }));
  assert.equal(new Set(figuresOf(many).legend.map(({ color }) => color)).size, 9);
  assert.equal(qualityFigures(summaryOf([{ settings: {}, frechet: [undefined] }])), undefined);
});
