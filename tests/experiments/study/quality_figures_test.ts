import assert from "node:assert/strict";
import { qualityFigures } from "../../../experiments/study/quality_figures.ts";
import { judgedTwice, type MadeUpSetup, summaryOf, twoNetworks } from "./made_up_study.ts";

/** The points of a trace, as Plotly decodes them. */
function valuesOf(trace: object, axis: "x" | "y"): number[] {
  const { bdata } = Object(Reflect.get(trace, axis));
  return [...new Float32Array(Uint8Array.fromBase64(bdata).buffer)];
}

const figuresOf = (setups: readonly MadeUpSetup[]) => qualityFigures(summaryOf(setups))!;

Deno.test("qualityFigures() draws means and intervals against the costs that differ", () => {
  const { figures, stills, legend } = figuresOf(twoNetworks);
  assert.deepEqual(legend.map(({ name, mark }) => [name, mark]), [["base", "circle"], [
    "residual",
    "square",
  ]]);
  assert.equal(stills.length, figures.length);
  const axesOf = (setups: readonly MadeUpSetup[]) =>
    qualityFigures(summaryOf(setups))?.figures.map(({ plotly }) => Object(plotly.layout.xaxis).title.text);
  assert.deepEqual(axesOf(twoNetworks), ["parameters"], "images and seconds are the same");
  const more = (seed: number) => ({ images: 1000, seconds: 60 + seed });
  assert.deepEqual(axesOf([twoNetworks[0], { ...twoNetworks[1], more }]), [
    "images trained on",
    "parameters",
    "seconds of training",
  ]);
  assert.equal(axesOf(twoNetworks.slice(0, 1)), undefined, "a single point needs no figure");
  const [{ plotly: { data, layout } }] = figures;
  const [, , point, bar] = data;
  assert.deepEqual([valuesOf(point, "x"), valuesOf(point, "y")[0].toFixed(2)], [[4000], "14.17"]);
  assert.deepEqual(valuesOf(bar, "x"), [4000, 4000, NaN]);
  assert.deepEqual(valuesOf(bar, "y").map((y) => y.toFixed(1)), ["11.2", "17.2", "NaN"]);
  assert.equal(Object(layout.yaxis).title.text, "Fréchet distance (lenet): lower is better");
  assert.equal("shapes" in layout, false, "the value of real images is unknown");
  for (const { svg } of stills) {
    assert.ok(!svg.includes(">residual<"), "the row has the legend");
    assert.ok(svg.includes(">Fréchet distance (lenet): lower is better<"));
  }
});

Deno.test("qualityFigures() draws two seeds as points, because their interval is far too wide", () => {
  const { figures: [{ plotly: { data } }] } = figuresOf(
    twoNetworks.map((setup) => ({ ...setup, frechet: [10, 30] })),
  );
  const marks = data.filter(({ mode }) => mode === "markers").map((trace) => valuesOf(trace, "y"));
  assert.deepEqual(marks, [[20], [10, 30], [20], [10, 30]]);
  const lines = data.filter(({ mode }) => mode === "lines").flatMap((trace) => valuesOf(trace, "y"));
  assert.deepEqual(lines.filter((y) => y !== 20), [], "no interval");
});

Deno.test("qualityFigures() draws real images as a line if all setups have the same data", () => {
  const withReal = (digests: readonly string[]) =>
    figuresOf(twoNetworks.map((setup, i) => ({
      ...setup,
      more: (seed) => ({ real: { frechet: 4 + seed / 2 }, dataset: { name: "digits", digest: digests[i] } }),
    })));
  const { figures: [figure], stills: [still] } = withReal(["1", "1"]);
  const [{ y0, y1, label }] = Object(figure.plotly.layout.shapes);
  assert.deepEqual([y0, y1, label.text], [5, 5, "real images: 5"]);
  assert.ok(still.svg.includes(">real images: 5<"));
  assert.equal("shapes" in withReal(["1", "2"]).figures[0].plotly.layout, false);
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

Deno.test("qualityFigures() has a panel for each judge", () => {
  const { figures } = figuresOf(judgedTwice);
  const seen = figures.map(({ plotly: { layout, data } }) => [
    Object(layout.yaxis).title.text,
    valuesOf(data[2], "y")[0].toFixed(1),
  ]);
  assert.deepEqual(seen, [
    ["Fréchet distance (lenet): lower is better", "14.2"],
    ["Fréchet distance (vgg): lower is better", "35.8"],
  ]);
});

Deno.test("qualityFigures() titles a figure with the best setup, unless that may be chance", () => {
  const [base, residual] = twoNetworks;
  const titles = (...frechets: readonly (readonly number[])[]) =>
    figuresOf([base, residual].map((setup, i) => ({ ...setup, frechet: frechets[i] }))).figures
      .map(({ parts }) => parts.layout.title);
  const [worse, better] = [base.frechet, residual.frechet] as number[][];
  assert.deepEqual(titles(worse, better), ["residual is best, at the highest cost"]);
  assert.deepEqual(titles(better, worse), ["base is best, at the lowest cost"]);
  assert.deepEqual(titles([10, 20, 30], [30, 10, 25]), [undefined]);
  assert.deepEqual(titles([10], [30]), [undefined], "one seed");
  const third = {
    ...base,
    settings: { model: "base", times: "uniform" },
    frechet: [50, 51, 52],
    parameters: 9000,
  };
  const { figures } = figuresOf([residual, { ...third, settings: { groups: 2, filters: "4" } }, { ...base }]);
  assert.equal(figures[0].parts.layout.title, "residual is best", "others cost less, and more");
  assert.deepEqual(figuresOf(judgedTwice).figures.map(({ parts }) => parts.layout.title), [
    "residual is best, at the highest cost",
    "base is best, at the lowest cost",
  ]);
});

Deno.test("qualityFigures() has a logarithmic axis for values that span a decade", () => {
  const axes = [9_990, 10_000].map((parameters) => {
    const { plotly: { layout } } = figuresOf([twoNetworks[0], { ...twoNetworks[1], parameters }]).figures[0];
    return Object(layout.xaxis).type;
  });
  assert.notEqual(axes[0], "log");
  assert.equal(axes[1], "log");
});

Deno.test("qualityFigures() gives each of many setups a colour and a mark, and draws nothing without a figure", () => {
  const many = Array.from({ length: 35 }, (_, i) => ({
    ...{ settings: { groups: i }, frechet: [20 + i, 21 + i], parameters: 1000 + i },
  }));
  const { legend } = figuresOf(many);
  assert.equal(new Set(legend.map(({ color, mark }) => `${color} ${mark}`)).size, 35);
  assert.equal(new Set(legend.slice(0, 5).map(({ mark }) => mark)).size, 5, "few need no colours");
  assert.equal(qualityFigures(summaryOf([{ settings: {}, frechet: [undefined] }])), undefined);
});
