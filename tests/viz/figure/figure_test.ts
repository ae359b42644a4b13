import assert from "node:assert/strict";
import { axisRanges, type DrawnTrace, drawPanel } from "../../../viz/figure/figure_svg.ts";
import { Buffer } from "node:buffer";
// @ts-types="npm:@types/pngjs@6.0.5"
import { PNG } from "npm:pngjs@7.0.0";
import {
  arrowsFigure,
  colormap,
  type Displayable,
  encodeApng,
  encodeGif,
  encodePng,
  encodeRasterPng,
  type Figure,
  figure,
  figureRow,
  flowFrames,
  flowGif,
  imageGrid,
  lossFigure,
  type MediaBundle,
  notebookDisplay,
  pathsFigure,
  rasterizer,
  showAs,
} from "../../../viz/mod.ts";
import { readGif } from "../image/gif_reading.ts";
import { madeUpFlow } from "../flow/made_up_flow.ts";
import { assertSameNumbers } from "../../same_numbers.ts";

const shown = async (value: Displayable): Promise<MediaBundle> => await value[notebookDisplay]();

/** The bytes of a type in a media bundle. */
function bytesOf(bundle: MediaBundle, type: string): Uint8Array {
  const text = bundle[type];
  assert.ok(typeof text === "string", `no ${type} in ${Object.keys(bundle)}`);
  return Uint8Array.fromBase64(text);
}

/** The values of a trace, as Plotly decodes them. */
function valuesOf({ plotly }: Figure, trace: number, axis: "x" | "y"): number[] {
  const { dtype, bdata } = Object(plotly.data[trace][axis]);
  assert.equal(dtype, "f4");
  return [...new Float32Array(Uint8Array.fromBase64(bdata).buffer)];
}

/** Pixels of a figure's still image. */
async function stillOf(figure: Figure): Promise<PNG> {
  const html = String((await shown(figure))["text/html"]);
  const [, base64] = /^<img src="data:image\/png;base64,([^"]+)"/.exec(html) ??
    assert.fail(html.slice(0, 80));
  return PNG.sync.read(Buffer.from(base64, "base64"));
}

/** Number of pixels that are not white. */
const inked = ({ data }: PNG) =>
  data.filter((value, i) => i % 4 === 0 && value + data[i + 1] + data[i + 2] < 765).length;

Deno.test("showAs() changes a value only in notebooks", async () => {
  const plain = { width: 1 };
  const value = showAs({ width: 1 }, () => ({ "text/plain": "wide" }));
  assert.deepEqual(value, plain);
  assert.deepEqual(Object.keys(value), ["width"]);
  assert.equal(Deno.inspect(value), Deno.inspect(plain));
  assert.deepEqual(await shown(value), { "text/plain": "wide" });
  assert.equal(notebookDisplay, Symbol.for("Jupyter.display"), "the symbol of Deno's kernel");
});

Deno.test("encoders return files that notebooks show as pictures or animations", async () => {
  const picture = imageGrid(Float32Array.of(0, 1), [2, 1, 1]);
  const raster = { width: 1, height: 1, rgba: Uint8Array.of(9, 8, 7, 255) };
  for (const file of [encodePng(picture), encodeRasterPng(raster), encodeApng([raster, raster])]) {
    assertSameNumbers(bytesOf(await shown(file), "image/png"), new Uint8Array(file));
    assert.ok(!(notebookDisplay in file.slice(0, 8)), "a part of a file is not a picture");
  }
  const flow = flowFrames([{ trajectories: [madeUpFlow(1, 5)] }], { frames: 3, scale: 1 });
  const gif = encodeGif([picture, picture], colormap("gray"));
  for (const [file, count] of [[gif, 2], [flowGif(flow, await rasterizer()), 3]] as const) {
    const bundle = await shown(file);
    assert.equal(readGif(bytesOf(bundle, "image/gif")).frames.length, count);
    assert.ok(String(bundle["text/html"]).includes(`data:image/gif;base64,${bundle["image/gif"]}`));
  }
});

Deno.test("imageGrid() magnifies small images, but not large ones", async () => {
  const small = await shown(imageGrid(Float32Array.of(0, 0.5, 1, 0), [1, 2, 2]));
  const { width, height, data } = PNG.sync.read(Buffer.from(bytesOf(small, "image/png")));
  assert.deepEqual([width, height], [16, 16]);
  const greys = [[0, 0], [8, 0], [0, 8], [15, 7]].map(([x, y]) => data[4 * (y * width + x)]);
  assert.deepEqual(greys, [0, 128, 255, 128]);
  const large = await shown(imageGrid(new Float32Array(300 * 400), [1, 300, 400]));
  assert.equal(PNG.sync.read(Buffer.from(bytesOf(large, "image/png"))).width, 400);
});

Deno.test("figure() passes its traces to Plotly, and a still to other viewers", async () => {
  const marker = { x: [0], y: [0], mode: "markers", color: "#123456", size: 9 } as const;
  const layout = { title: "Some & more", xTitle: "n", yRange: [1, 100], yLog: true } as const;
  const made = figure([{ x: [1, 2, 3], y: [1, NaN, 9], name: "a < b" }, marker], layout);
  assert.deepEqual(valuesOf(made, 0, "y"), [1, NaN, 9]);
  const [line, points] = made.plotly.data;
  assert.deepEqual([line.mode, line.name], ["lines", "a < b"]);
  assert.deepEqual([points.mode, points.showlegend], ["markers", false]);
  assert.deepEqual(points.marker, { color: "#123456", size: 9 });
  assert.deepEqual(Object(made.plotly.layout.yaxis).range, [0, 2], "Plotly wants logarithms");
  const bundle = await shown(made);
  assert.deepEqual(bundle["application/vnd.plotly.v1+json"], made.plotly);
  assert.doesNotMatch(JSON.stringify(bundle["application/vnd.plotly.v1+json"]), /undefined|NaN/);
  assert.ok(!("image/png" in bundle), "JupyterLab would prefer it to the figure");
  assert.match(made.svg, /a &lt; b/);
  const still = await stillOf(made);
  assert.deepEqual([still.width, still.height], [1050, 642]);
  assert.ok(inked(still) > 2000, "the still is blank");
});

Deno.test("figure() has ticks at powers of two on a logarithmic axis of 2", () => {
  const { svg, plotly } = figure([{ x: [1, 2], y: [0.25, 4] }], { yLog: 2 });
  for (const tick of ["0.25", "0.5", "1", "2", "4"]) assert.ok(svg.includes(`>${tick}</text>`), tick);
  const { type, dtick } = Object(plotly.layout.yaxis);
  assert.deepEqual([type, dtick], ["log", Math.log10(2)]);
  const cases: [y: number[], dtick: string | undefined][] = [
    [[0.1, 3, NaN], "D2"],
    [[0.2, 1.02], "D2"],
    [[0.7, 1.6, 0], undefined], // contains no two of 1, 2 and 5: Plotly's default ticks
    [[1, 1, 1], undefined],
  ];
  for (const [y, dtick] of cases) {
    assert.equal(
      Object(figure([{ x: [1, 2, 3].slice(0, y.length), y }], { yLog: true }).plotly.layout.yaxis).dtick,
      dtick,
      `${y}`,
    );
  }
});

/** Tick labels of a figure's still image. */
function ticksOf({ svg }: Figure): { x: string[]; y: string[] } {
  const all = [...svg.matchAll(/stroke="#e4e4e4"\/><text ([^>]*)>([^<]+)</g)];
  const of = (isY: boolean) =>
    all.filter(([, place]) => place.includes('anchor="end"') === isY).map(([, , words]) => words);
  return { x: of(false), y: of(true) };
}

Deno.test("figure() does not abbreviate tick labels, and puts the axis title beside the widest", () => {
  const log = figure([{ x: [1e-5, 2e-4], y: [0.01, 30_000] }], { xLog: true, yLog: true, yTitle: "y" });
  assert.deepEqual(ticksOf(log).x, ["0.00001", "0.00002", "0.00003", "0.00004", "0.0001", "0.0002"]);
  assert.deepEqual(ticksOf(log).y, ["0.01", "0.1", "1", "10", "100", "1,000", "10,000"]);
  const constant = figure([{ x: [0, 1], y: [1e-3, 1e-3] }]);
  assert.ok(ticksOf(constant).y.includes("0.00100"), `${ticksOf(constant).y}`);
  const near = figure([{ x: [0, 1], y: [0.7, 1.6] }], { yLog: true });
  assert.deepEqual(ticksOf(near).y.slice(0, 2), ["0.8", "1.0"]);
  for (const axis of ["xaxis", "yaxis"]) {
    const { tickformat, exponentformat, separatethousands, automargin } = Object(log.plotly.layout[axis]);
    assert.deepEqual([tickformat, exponentformat, separatethousands, automargin], [",", "none", true, true]);
  }
  const titleAt = ({ svg }: Figure) => Number(/translate\((-?[\d.]+) [\d.]+\) rotate/.exec(svg)![1]);
  const narrow = figure([{ x: [0, 1], y: [0, 1] }], { yTitle: "y" });
  const wide = figure([{ x: [0, 1], y: [-100_000, 100_000] }], { yTitle: "y" });
  assert.equal(titleAt(narrow), -40);
  assert.ok(titleAt(wide) < -6 - 6.5 * "-100,000".length, `${titleAt(wide)}`);
});

Deno.test("figure() does not cut off tick labels at the right end", () => {
  const { svg } = figure([{ x: [0, 100_000], y: [0, 1] }], { xRange: [0, 100_000], width: 300, height: 200 });
  const [, axes] = /translate\((\d+) \d+\)" class/.exec(svg)!;
  const [, last] = /<text x="([\d.]+)" y="[\d.]+">100,000</.exec(svg)!;
  assert.ok(Number(axes) + Number(last) + 7 * 6.7 / 2 <= 300.1, `${last} from ${axes}`); // 7 letters, half to the right
});

Deno.test("figure() fits axes to all frames, allows equal labels, and continues colours in frames", () => {
  const frames = [1, 10].map((y) => ({ label: "t = 0.50", traces: [{ x: [0, 1], y: [0, y] }] }));
  const { plotly } = figure([{ x: [0, 1], y: [1, 0] }], { yRange: [-1, 20] }, frames);
  const { xaxis, yaxis, sliders: [{ steps }] } = Object(plotly.layout);
  assert.deepEqual([xaxis.range, yaxis.range], [[-0.04, 1.04], [-1, 20]]);
  const [low, high] = Object(figure([], {}, frames).plotly.layout.yaxis).range;
  assert.ok(low < 0 && high > 10, `${low} to ${high}`);
  assert.ok(
    !("range" in Object(figure([{ x: [1], y: [1] }]).plotly.layout.xaxis)),
    "without frames Plotly chooses",
  );
  assert.deepEqual(plotly.frames.map(({ name }) => name), ["0", "1"]);
  assert.deepEqual(
    steps.map(({ label, args: [names] }: { label: string; args: [string[]] }) => [label, ...names]),
    [["t = 0.50", "0"], ["t = 0.50", "1"]],
  );
  const colorOf = (trace: unknown) => Object(trace).line.color;
  assert.notEqual(colorOf(plotly.data[0]), colorOf(plotly.data[1]));
  assert.equal(colorOf(Object(plotly.frames[1].data)[0]), colorOf(plotly.data[1]));
});

Deno.test("figure() rejects mismatched and empty traces", () => {
  assert.throws(() => figure([{ x: [1, 2], y: [1], name: "odd" }]), {
    name: "RangeError",
    message: 'Cannot draw figure: trace "odd" has 2 x and 1 y (expected equal numbers)',
  });
  assert.throws(() => figure([{ x: [1], y: [-1] }], { yLog: true }), {
    name: "RangeError",
    message: "Cannot draw figure: an axis has no positive finite value (expected at least one)",
  });
  const trace = { x: [1], y: [1] };
  const frames = [{ label: "a", traces: [trace] }, { label: "b", traces: [] }];
  assert.throws(() => figure([], {}, frames), {
    message: 'Cannot draw figure: frame "b" has 0 traces, frame "a" has 1 (expected equal numbers)',
  });
});

Deno.test("figure() draws named levels, which its axis includes, and points of several shapes", async () => {
  const levels = [{ y: 0.5, name: "best & last" }, { y: 400, name: "worst" }];
  const points = [{ x: [2], y: [7], mode: "markers", color: "#ff0000", mark: "square", size: 20 }] as const;
  const layout = { width: 300, height: 200, levels };
  const made = figure([...points, { x: [0, 4], y: [2, 4], color: "none" }], { ...layout, yLog: true });
  const [low, high] = Object(made.plotly.layout.yaxis).range;
  assert.ok(10 ** low < 0.5 && 10 ** high > 400, `${low} to ${high}`);
  const shapes = Object(made.plotly.layout.shapes);
  assert.deepEqual(shapes.map(({ y0, label }: typeof shapes[0]) => [y0, label.text]), [
    [0.5, "best & last"],
    [400, "worst"],
  ]);
  assert.equal(Object(made.plotly.data[0].marker).symbol, "square");
  const at = [
    ...made.svg.matchAll(/<path d="M0 ([\d.]+)h240" stroke-dasharray[^>]*><text x="5" y="([\d.]+)"/g),
  ];
  const [[line, name], [highLine, highName]] = at.map(([, ...numbers]) => numbers.map(Number));
  assert.ok(name < line && highName > highLine, "a name at the upper edge is below its line");
  assert.ok(made.svg.includes(">best &amp; last</text>"));
  const middle = figure(points, { width: 300, height: 200 });
  assert.deepEqual(await colourAt(middle.svg, 172 + 8, 84 + 8), [255, 0, 0], "a corner of the square");
});

Deno.test("lossFigure() smooths without lag at the start, thins long runs, and continues after NaN", () => {
  const one = lossFigure([4, 2, 3, 1], { smoothing: 2 });
  assert.deepEqual(valuesOf(one, 0, "y"), [4, 2, 3, 1]);
  assert.deepEqual(valuesOf(one, 1, "y"), [4, 2, 2, 2]);
  assert.deepEqual(valuesOf(lossFigure(new Float32Array(4001).fill(1)), 0, "x").slice(0, 3), [1, 4, 7]);
  const several = lossFigure({ adam: [2, 1], sgd: [3, 2] }).plotly.data;
  assert.deepEqual(several.map(({ name }) => name), ["adam", "sgd"]);
  const broken = lossFigure([4, NaN, 2, Infinity, 3], { smoothing: 4 });
  const shown = valuesOf(broken, 1, "y").map((y) => y.toFixed(3));
  assert.deepEqual(shown, ["4.000", "NaN", "2.000", "NaN", "2.500"]);
  assert.deepEqual(
    lossFigure([2]).plotly.data.map(({ mode }) => mode),
    ["markers", "markers"],
    "a single loss",
  );
});

Deno.test("pathsFigure() draws the line of each point, coloured by time, and moves the points", async () => {
  const snapshots = [0, 0.5, 1].map((t) => ({ t, image: Float32Array.of(t, -t, 1, t) }));
  const made = pathsFigure(snapshots);
  assert.deepEqual(valuesOf(made, 1, "x"), [0.5, 1, NaN, 1, 1, NaN]);
  assert.deepEqual(valuesOf(made, 1, "y"), [-0.5, -1, NaN, 0.5, 1, NaN]);
  const colors = made.plotly.data.slice(0, 2).map(({ line }) => Object(line).color);
  const viridis = colormap("viridis");
  assert.deepEqual(colors, [64, 191].map((i) => `rgb(${viridis.subarray(3 * i, 3 * i + 3)})`));
  const [{ steps }] = Object(made.plotly.layout.sliders);
  assert.deepEqual(steps.map(({ label }: { label: string }) => label), ["t = 0.00", "t = 0.50", "t = 1.00"]);
  assert.ok(
    made.plotly.frames.every(({ traces }) => String(traces) === "2"),
    "frames move the points, the last trace",
  );
  assert.ok(inked(await stillOf(made)) > 1000);
  assert.throws(() => pathsFigure(snapshots.slice(0, 1)), /there are 1 snapshots \(expected at least 2\)/);
  assert.throws(
    () => pathsFigure([...snapshots, { t: 1, image: new Float32Array(2) }]),
    /at t = 1 there are 2 coord/,
  );
});

Deno.test("arrowsFigure() draws all points at all times to one scale, and skips snapshots without velocity", () => {
  const image = Float32Array.of(0, 0, 2, 0);
  const made = arrowsFigure([
    { t: 0, image, velocity: Float32Array.of(0, 4, 0, 0) },
    { t: 0.5, image, velocity: Float32Array.of(1.5, 2, 0, 0) },
    { t: 1, image },
  ]);
  assert.equal(made.plotly.frames.length, 2);
  const [[x, y], [x2, y2]] = made.plotly.frames.map(({ data }) => {
    const [{ x, y }] = data as { x: { bdata: string }; y: { bdata: string } }[];
    return [x, y].map(({ bdata }) => new Float32Array(Uint8Array.fromBase64(bdata).buffer).map(Math.fround));
  });
  assert.ok(y[1] > 0 && x[1] === 0);
  assert.ok(Math.abs(Math.hypot(x2[1], y2[1]) - y[1] * 2.5 / 4) < 1e-6, "in proportion to the velocity");
  const [, , , left, tip, right] = x2.map((x, i) => 3 * x + 4 * y2[i]); // along the arrow
  assert.ok(Math.abs(left - right) < 1e-6 && left < tip, "both strokes of the head are equally long");
  const many = { t: 0, image: new Float32Array(2 * 225), velocity: new Float32Array(2 * 225).fill(1) };
  const sizes = [{}, { points: 7 }].map((options) => valuesOf(arrowsFigure([many], options), 0, "x").length);
  assert.deepEqual(sizes, [225 * sizes[1] / 7, sizes[1]]);
  assert.throws(() => arrowsFigure([{ t: 1, image }]), /no snapshot has a velocity/);
});

const box = (color: string, width: number, height: number) =>
  figure([{ x: [0, 1], y: [0, 1], color, size: 40 }], { width, height });

async function colourAt(svg: string, x: number, y: number): Promise<number[]> {
  const { width, rgba } = (await rasterizer())(svg);
  return [...rgba.subarray(4 * (y * width + x), 4 * (y * width + x) + 3)];
}

Deno.test("figureRow() puts figures side by side, with a wrapped legend below", async () => {
  const figures = [box("#ff0000", 300, 200), box("#0000ff", 200, 150), box("#00ff00", 200, 150)];
  const bare = figureRow(figures);
  assert.match(bare, /^<svg [^>]*width="700" height="200"/);
  assert.deepEqual(await colourAt(bare, 170, 90), [255, 0, 0]);
  assert.deepEqual(await colourAt(bare, 425, 60), [0, 0, 255]);
  assert.deepEqual(await colourAt(bare, 625, 60), [0, 255, 0]);

  const entries = Array.from({ length: 9 }, (_, i) => ({ name: `setup ${i} <b>`, color: "#00ff00" }));
  const svg = figureRow(figures, entries);
  const [, height] = /height="(\d+)"/.exec(svg)!;
  assert.ok(Number(height) >= 200 + 2 * 18, "nine names take two lines");
  assert.ok(svg.includes("setup 8 &lt;b&gt;"));
  assert.deepEqual(await colourAt(svg, 20, 211), [0, 255, 0]);
  const marked = figureRow(figures, [{ name: "setup", color: "#00ff00", mark: "diamond" }]);
  assert.deepEqual(await colourAt(marked, 27, 211), [0, 255, 0]);
  assert.deepEqual(await colourAt(marked, 19, 211), [255, 255, 255]);
  const places = [...svg.matchAll(/<path d="M([\d.]+) ([\d.]+)h18"/g)].map(([, x]) => Number(x));
  assert.ok(places.every((x) => x < 700));
  assert.throws(() => figureRow([]), {
    name: "RangeError",
    message: /there are none \(expected at least 1\)/,
  });
});

Deno.test("drawPanel() draws bars from 0, bands around lines and whiskers on points, and returns positions", () => {
  const x = [1, 2];
  const y = [3, 5];
  const interval = { low: [2, 4], high: [4, 8] };
  const drawn = (trace: DrawnTrace) => {
    const ranges = axisRanges({ traces: [trace], layout: {} });
    const panel = drawPanel([trace], {}, [400, 300], ranges);
    const { left, top } = panel.area;
    /** The path to a value, inside of the axes. */
    const at = (x: number, y: number) =>
      [panel.toX(x) - left, panel.toY(y) - top].map((to) => Math.round(10 * to) / 10);
    return { ...panel, at, low: ranges.y[0] };
  };
  const bars = drawn({ x, y, mode: "bars", barWidth: 0.5, color: "red" });
  assert.ok(bars.low <= 0);
  const [left, base] = bars.at(0.75, 0);
  assert.ok(
    bars.svg.includes(
      `M${left} ${base}V${bars.at(1, 3)[1]}h${Math.round(10 * (bars.toX(0.5) - bars.toX(0))) / 10}V`,
    ),
  );
  const band = drawn({ x, y, interval, color: "red", dash: "8 4" });
  const places = [[1, 4], [2, 8], [2, 4], [1, 2]].map(([x, y]) => band.at(x, y).join(" "));
  assert.ok(
    band.svg.includes(`d="M${places.join("L")}z" fill="red"`),
    "along the high ends and back along the low ends",
  );
  assert.ok(band.svg.includes('stroke-dasharray="8 4"'));
  const points = drawn({ x, y, interval, mode: "markers", size: [12, 6], color: "red" });
  assert.ok(
    points.svg.includes(`M${points.at(1, 2).join(" ")}L${points.at(1, 4).join(" ")}M`),
    "a gap after each whisker",
  );
  assert.ok(points.svg.includes("scale(6)") && points.svg.includes("scale(3)"), "each point has its size");
  const log = drawPanel([], { yLog: true }, [400, 300], { x: [0, 1], y: [1, 10] });
  assert.ok(Number.isNaN(log.toY(0)) && log.toY(10) < log.toY(1));
});
