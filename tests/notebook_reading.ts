/** Notebooks as stored by Jupyter, and the contents of their outputs. */

import assert from "node:assert/strict";

/** An output of a cell. */
export interface Output {
  readonly output_type: string;
  /** Data by media type; texts are lists of lines. */
  readonly data?: Readonly<Record<string, unknown>>;
}

/** A cell of a notebook. */
export interface Cell {
  readonly cell_type: "code" | "markdown";
  readonly source: readonly string[];
  readonly execution_count?: number | null;
  readonly outputs?: readonly Output[];
}

/** A figure in Plotly's format. */
export interface PlotlyData {
  readonly data: readonly Record<"x" | "y", { readonly bdata: string }>[];
  readonly layout: { readonly title: { readonly text: string } };
  readonly frames: readonly { readonly name: string }[];
}

export async function readCells(path: string | URL): Promise<readonly Cell[]> {
  return JSON.parse(await Deno.readTextFile(path)).cells;
}

/** All outputs of a media type, in order, as text or JSON. */
export function shownAs(cells: readonly Cell[], type: string): unknown[] {
  const outputs = cells.flatMap(({ outputs = [] }) => outputs);
  return outputs.flatMap(({ data }) => data?.[type] ?? []).map((value) => textOf(value) ?? value);
}

/** All images of a type, as bytes. */
export function imagesOf(cells: readonly Cell[], type: "image/png" | "image/gif"): Uint8Array[] {
  return shownAs(cells, type).map((text) => Uint8Array.fromBase64(String(text)));
}

/** The figure whose title matches. */
export function figureOf(cells: readonly Cell[], title: RegExp): PlotlyData {
  const figures = shownAs(cells, "application/vnd.plotly.v1+json") as PlotlyData[];
  return figures.find(({ layout }) => title.test(layout.title.text)) ??
    assert.fail(`no figure is titled ${title}`);
}

export function traceOf({ data }: PlotlyData, trace: number, axis: "x" | "y"): Float32Array {
  return new Float32Array(Uint8Array.fromBase64(data[trace][axis].bdata).buffer);
}

function textOf(value: unknown): string | undefined {
  if (Array.isArray(value)) return value.join("");
  return typeof value === "string" ? value : undefined;
}
