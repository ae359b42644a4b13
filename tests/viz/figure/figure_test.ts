import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
// @ts-types="npm:@types/pngjs@6.0.5"
import { PNG } from "npm:pngjs@7.0.0";
import * as viz from "../../../viz/mod.ts";
import { readGif } from "../image/gif_reading.ts";
import { madeUpFlow } from "../flow/made_up_flow.ts";
import { assertSameNumbers } from "../../same_numbers.ts";

const shown = async (value: viz.Displayable): Promise<viz.MediaBundle> => await value[viz.notebookDisplay]();

/** The bytes of a type in a media bundle. */
function bytesOf(bundle: viz.MediaBundle, type: string): Uint8Array {
  const text = bundle[type];
  assert.ok(typeof text === "string", `no ${type} in ${Object.keys(bundle)}`);
  return Uint8Array.fromBase64(text);
}

/** The values of a trace. */
const valuesOf = (
  { data }: viz.Figure,
  trace: number,
  axis: "x" | "y",
) => [...data[trace][axis] as Float32Array];

Deno.test("showAs() changes a value only in notebooks", async () => {
  const plain = { width: 1 };
  const value = viz.showAs({ width: 1 }, () => ({ "text/plain": "wide" }));
  assert.deepEqual(value, plain);
  assert.deepEqual(Object.keys(value), ["width"]);
  assert.equal(Deno.inspect(value), Deno.inspect(plain));
  assert.deepEqual(await shown(value), { "text/plain": "wide" });
  assert.equal(viz.notebookDisplay, Symbol.for("Jupyter.display"), "the symbol of Deno's kernel");
});

Deno.test("encoders return files that notebooks show as pictures or animations", async () => {
  const picture = viz.imageGrid(Float32Array.of(0, 1), [2, 1, 1]);
  const raster = { width: 1, height: 1, rgba: Uint8Array.of(9, 8, 7, 255) };
  for (
    const file of [viz.encodePng(picture), viz.encodeRasterPng(raster), viz.encodeApng([raster, raster])]
  ) {
    assertSameNumbers(bytesOf(await shown(file), "image/png"), new Uint8Array(file));
    assert.ok(!(viz.notebookDisplay in file.slice(0, 8)), "a part of a file is not a picture");
  }
  const flow = viz.flowFrames([{ trajectories: [madeUpFlow(1, 5)] }], { frames: 3, scale: 1 });
  const gif = viz.encodeGif([picture, picture], viz.colormap("gray"));
  for (const [file, count] of [[gif, 2], [viz.flowGif(flow, await viz.rasterizer()), 3]] as const) {
    const bundle = await shown(file);
    assert.equal(readGif(bytesOf(bundle, "image/gif")).frames.length, count);
    assert.ok(String(bundle["text/html"]).includes(`data:image/gif;base64,${bundle["image/gif"]}`));
  }
});

Deno.test("imageGrid() magnifies small images, but not large ones", async () => {
  const small = await shown(viz.imageGrid(Float32Array.of(0, 0.5, 1, 0), [1, 2, 2]));
  const { width, height, data } = PNG.sync.read(Buffer.from(bytesOf(small, "image/png")));
  assert.deepEqual([width, height], [16, 16]);
  const greys = [[0, 0], [8, 0], [0, 8], [15, 7]].map(([x, y]) => data[4 * (y * width + x)]);
  assert.deepEqual(greys, [0, 128, 255, 128]);
  const large = await shown(viz.imageGrid(new Float32Array(300 * 400), [1, 300, 400]));
  assert.equal(PNG.sync.read(Buffer.from(bytesOf(large, "image/png"))).width, 400);
});

const plotlyType = "application/vnd.plotly.v1+json";

Deno.test("figure() shows Plotly's traces, layout and frames in a notebook, with typed arrays in base64", async () => {
  const frames = [{ name: "0", data: [{ x: Float32Array.of(2) }], traces: [0] }];
  const made = viz.figure(
    [{ x: Float32Array.of(1, NaN), y: [NaN, 2], name: "a < b" }],
    { width: 300 },
    frames,
  );
  const bundle = await shown(made);
  assert.deepEqual(Object.keys(bundle), [plotlyType, "text/plain"]);
  const { data: [{ x, y, name }], layout, frames: [frame] } = Object(bundle[plotlyType]);
  assert.deepEqual([[...new Float32Array(Uint8Array.fromBase64(x.bdata).buffer)], x.dtype], [[1, NaN], "f4"]);
  assert.deepEqual([y, name, layout.width, layout.height], [[null, 2], "a < b", 300, 400]);
  assert.deepEqual([frame.name, frame.traces, frame.data[0].x.dtype], ["0", [0], "f4"]);
  assert.equal(JSON.stringify(bundle), JSON.stringify(await shown(made)));
  assert.throws(() => viz.figure([{ x: [1, 2], y: [1], name: "a" }]), {
    name: "RangeError",
    message: 'Cannot draw figure: trace "a" has 2 x and 1 y (expected equal numbers)',
  });
});

Deno.test("chartTemplate() has colours of series that differ from light and dark paper", () => {
  const luminance = (color: string) => {
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16) / 255)
      .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  for (const paper of ["#ffffff", "#14171a"]) {
    const { colorway, paper_bgcolor } = Object(
      viz.chartTemplate({ ink: "", muted: "", line: "", paper }).layout,
    );
    assert.equal(paper_bgcolor, paper);
    assert.equal(colorway, viz.seriesColors);
    for (const color of viz.seriesColors) {
      const [dark, bright] = [luminance(color), luminance(paper)].sort((a, b) => a - b);
      assert.ok((bright + 0.05) / (dark + 0.05) >= 3, `${color} on ${paper}`);
    }
  }
});

Deno.test("lossFigure() smooths without lag at the start, thins long runs, and continues after NaN", () => {
  const one = viz.lossFigure([4, 2, 3, 1], { smoothing: 2 });
  assert.deepEqual(valuesOf(one, 0, "y"), [4, 2, 3, 1]);
  assert.deepEqual(valuesOf(one, 1, "y"), [4, 2, 2, 2]);
  assert.deepEqual(valuesOf(viz.lossFigure(new Float32Array(4001).fill(1)), 0, "x").slice(0, 3), [1, 4, 7]);
  assert.deepEqual(viz.lossFigure({ adam: [2, 1], sgd: [3, 2] }).data.map(({ name }) => name), [
    "adam",
    "sgd",
  ]);
  const broken = viz.lossFigure([4, NaN, 2, Infinity, 3], { smoothing: 4 });
  const shown = valuesOf(broken, 1, "y").map((y) => y.toFixed(3));
  assert.deepEqual(shown, ["4.000", "NaN", "2.000", "NaN", "2.500"]);
  assert.deepEqual(viz.lossFigure([2]).data.map(({ mode }) => mode), ["markers", "markers"], "a single loss");
  assert.equal(Object(one.layout.yaxis).type, "log");
});

Deno.test("pathsFigure() draws the line of each point, coloured by time, and moves the points", () => {
  const snapshots = [0, 0.5, 1].map((t) => ({ t, image: Float32Array.of(t, -t, 1, t) }));
  const made = viz.pathsFigure(snapshots);
  assert.deepEqual(valuesOf(made, 1, "x"), [0.5, 1, NaN, 1, 1, NaN]);
  assert.deepEqual(valuesOf(made, 1, "y"), [-0.5, -1, NaN, 0.5, 1, NaN]);
  const colors = made.data.slice(0, 2).map(({ line }) => Object(line).color);
  const viridis = viz.colormap("viridis");
  assert.deepEqual(colors, [64, 191].map((i) => `rgb(${viridis.subarray(3 * i, 3 * i + 3)})`));
  const [{ steps }] = Object(made.layout.sliders);
  assert.deepEqual(steps.map(({ label }: { label: string }) => label), ["t = 0.00", "t = 0.50", "t = 1.00"]);
  assert.ok(made.frames!.every(({ traces }) => String(traces) === "2"), "frames move the last trace");
  assert.deepEqual(made.frames![1].data, [{ x: Float32Array.of(0.5, 1), y: Float32Array.of(-0.5, 0.5) }]);
  const [low, high] = Object(made.layout.yaxis).range;
  assert.ok(low < -1 && low > -1.2 && high > 1 && high < 1.2, "the axis fits all frames");
  assert.deepEqual(Object(viz.pathsFigure(snapshots, { range: [-3, 3] }).layout.xaxis).range, [-3, 3]);
  assert.throws(
    () => viz.pathsFigure(snapshots.slice(0, 1)),
    /there are 1 snapshots \(expected at least 2\)/,
  );
  assert.throws(
    () => viz.pathsFigure([...snapshots, { t: 1, image: new Float32Array(2) }]),
    /at t = 1 there are 2 coord/,
  );
});

Deno.test("arrowsFigure() draws all points at all times to one scale, and skips snapshots without velocity", () => {
  const image = Float32Array.of(0, 0, 2, 0);
  const made = viz.arrowsFigure([
    { t: 0, image, velocity: Float32Array.of(0, 4, 0, 0) },
    { t: 0.5, image, velocity: Float32Array.of(1.5, 2, 0, 0) },
    { t: 1, image },
  ]);
  assert.equal(made.frames!.length, 2);
  const [[x, y], [x2, y2]] = made.frames!.map((
    { data: [{ x, y }] },
  ) => [x as Float32Array, y as Float32Array]);
  assert.ok(y[1] > 0 && x[1] === 0);
  assert.ok(Math.abs(Math.hypot(x2[1], y2[1]) - y[1] * 2.5 / 4) < 1e-6, "in proportion to the velocity");
  const [, , , left, tip, right] = x2.map((x, i) => 3 * x + 4 * y2[i]); // along the arrow
  assert.ok(Math.abs(left - right) < 1e-6 && left < tip, "both strokes of the head are equally long");
  const many = { t: 0, image: new Float32Array(2 * 225), velocity: new Float32Array(2 * 225).fill(1) };
  const sizes = [{}, { points: 7 }].map((options) =>
    valuesOf(viz.arrowsFigure([many], options), 0, "x").length
  );
  assert.deepEqual(sizes, [225 * sizes[1] / 7, sizes[1]]);
  assert.throws(() => viz.arrowsFigure([{ t: 1, image }]), /no snapshot has a velocity/);
});
