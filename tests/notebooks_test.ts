/** The notebooks, run by Jupyter with the same Deno that runs the tests. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
// @ts-types="npm:@types/pngjs@6.0.5"
import { PNG } from "npm:pngjs@7.0.0";
import { withFolder } from "./folder.ts";
import { findJupyter, notebooks, runNotebook } from "./notebooks.ts";
import { testNeeding, testUnless } from "./permissions.ts";
import { readGif } from "./viz/image/gif_reading.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const python = await findJupyter();
const noJupyter = typeof python === "string" ? undefined : python.reason;

/** Expected outputs of each notebook. */
const checks: Record<string, (cells: readonly Cell[]) => void> = {
  "notebooks/tiny_flow.ipynb"(cells) {
    const [tensor] = shownAs(cells, "text/html");
    assert.match(String(tensor), /^<table><caption>f32\[2000, 2\] on (cpu|webgpu)<\/caption>/);
    const losses = traceOf(figureOf(cells, /^Loss$/), 0, "y");
    assert.ok(mean(losses.subarray(-200)) < 0.7 * mean(losses.subarray(0, 20)), "the loss does not fall");
    const paths = figureOf(cells, /^Paths from noise to data$/);
    assert.deepEqual([paths.data.length, paths.frames.length], [21, 21], "20 steps, points at 21 times");
    const [x, y] = [traceOf(paths, 19, "x"), traceOf(paths, 19, "y")];
    const distances = Array.from({ length: 200 }, (_, n) => fromMoons(x[3 * n + 1], y[3 * n + 1]));
    assert.ok(mean(distances) < 0.25, `points end ${mean(distances)} from the moons`);
    assert.equal(figureOf(cells, /^Velocity$/).frames.length, 6);
    const solvers = figureOf(cells, /^Error of the solvers$/);
    for (const solver of [0, 1, 2]) {
      const errors = traceOf(solvers, solver, "y");
      assert.ok(errors[5] < 0.2 * errors[0], `error falls from ${errors[0]} to ${errors[5]} only`);
    }
  },
  "notebooks/digits.ipynb"(cells) {
    const [digits, strip] = imagesOf(cells, "image/png").map((bytes) => PNG.sync.read(Buffer.from(bytes)));
    assert.deepEqual([digits.width, digits.height], [4 * 115, 4 * 115]);
    for (const { data } of [digits, strip]) assert.ok(new Set(data).size > 50, "a picture is blank");
    const [sixDigits, velocities] = imagesOf(cells, "image/gif").map(readGif);
    assert.deepEqual([sixDigits.frames.length, sixDigits.width], [11, 6 * 85 - 1]);
    assert.equal(velocities.frames.length, 21);
    for (const { frames } of [sixDigits, velocities]) {
      const moves = frames.every((frame, i) => i === 0 || Buffer.compare(frame, frames[i - 1]) !== 0);
      assert.ok(moves, "nothing moves");
    }
    assert.equal(figureOf(cells, /^Two directions, \d+ % of the variance$/).frames.length, 17);
  },
};

/** Checks that every cell ran, in order and without error, and has output. */
function checkRun(cells: readonly Cell[]): void {
  const code = cells.filter(({ cell_type }) => cell_type === "code");
  assert.deepEqual(code.map(({ execution_count }) => execution_count), code.map((_, i) => i + 1));
  for (const { source, outputs } of code) {
    assert.deepEqual(outputs?.map(({ output_type }) => output_type), ["execute_result"], source.join(""));
  }
  for (const figure of figuresOf(cells)) {
    figure.data.forEach((_, i) => {
      const values = traceOf(figure, i, "y");
      assert.ok(values.some(Number.isFinite) && !values.includes(Infinity), "a trace holds no numbers");
    });
  }
}

for (const notebook of notebooks) {
  testNeeding({ read: true }, `${notebook} holds the outputs of its cells, and is small`, async () => {
    const cells = await cellsOf(join(root, notebook));
    checkRun(cells);
    checks[notebook](cells);
    assert.ok((await Deno.stat(join(root, notebook))).size < 1_500_000);
  });

  testUnless(
    noJupyter,
    `${notebook} gives the stored outputs in Deno's kernel`,
    () =>
      withFolder(async (folder) => {
        const to = join(folder, "run.ipynb");
        assert.equal(await runNotebook(String(python), notebook, to), "");
        const [cells, kept] = [await cellsOf(to), await cellsOf(join(root, notebook))];
        checkRun(cells);
        checks[notebook](cells);
        const advice = "run `deno run -A tests/notebooks.ts` and commit";
        assert.deepEqual(cells.map(essence), kept.map(essence), advice);
      }),
  );
}

/** The parts of a cell that do not depend on the machine: its source and the types of its outputs. */
const essence = ({ source, outputs = [] }: Cell) =>
  [source, outputs.map(({ data = {} }) => Object.keys(data).sort())] as const;

const mean = (values: ArrayLike<number>) =>
  Array.from(values).reduce((sum, value) => sum + value) / values.length;

/** Distance of a point from the nearer of the two half moons. */
function fromMoons(x: number, y: number): number {
  const arc = (left: number, up: number) =>
    up >= 0 ? Math.abs(2 - Math.hypot(left, up)) : Math.hypot(Math.abs(left) - 2, up);
  return Math.min(arc(x + 1, y + 0.5), arc(1 - x, 0.5 - y));
}

/** A cell as Jupyter stores it; outputs hold data by media type. */
interface Cell {
  readonly cell_type: "code" | "markdown";
  readonly source: readonly string[];
  readonly execution_count?: number | null;
  readonly outputs?: readonly {
    readonly output_type: string;
    readonly data?: Readonly<Record<string, unknown>>;
  }[];
}

/** A figure in Plotly's format. */
interface Figure {
  readonly data: readonly Record<"x" | "y", readonly number[] | { readonly bdata: string }>[];
  readonly layout: { readonly title: { readonly text: string } };
  readonly frames: readonly unknown[];
}

async function cellsOf(path: string): Promise<readonly Cell[]> {
  return JSON.parse(await Deno.readTextFile(path)).cells;
}

/** All outputs of a media type, in order. */
function shownAs(cells: readonly Cell[], type: string): unknown[] {
  return cells.flatMap(({ outputs = [] }) => outputs).flatMap(({ data }) => data?.[type] ?? []);
}

/** All images of a type, as bytes. */
function imagesOf(cells: readonly Cell[], type: "image/png" | "image/gif"): Uint8Array[] {
  return shownAs(cells, type).map((text) => Uint8Array.fromBase64(String(text)));
}

function figuresOf(cells: readonly Cell[]): Figure[] {
  return shownAs(cells, "application/vnd.plotly.v1+json") as Figure[];
}

/** The figure whose title matches. */
function figureOf(cells: readonly Cell[], title: RegExp): Figure {
  return figuresOf(cells).find(({ layout }) => title.test(layout.title.text)) ??
    assert.fail(`no figure is titled ${title}`);
}

function traceOf({ data }: Figure, trace: number, axis: "x" | "y"): Float32Array {
  const values = data[trace][axis];
  if ("bdata" in values) return new Float32Array(Uint8Array.fromBase64(values.bdata).buffer);
  return Float32Array.from(values);
}
