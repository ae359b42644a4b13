/// <reference lib="dom" />
import type { FlowPayload, RunPayload } from "../payload.ts";
import { type Clock, nearestTime } from "./clock.ts";
import { bytesOf, decode } from "./decode.ts";
import { byId, chooseRun, element, signed } from "./dom.ts";
import { drawImage, type Pixel, pointAtPixels } from "./image_panel.ts";
import { PixelChart } from "./pixel_chart.ts";
import { drawQuiver, quiverOf } from "./quiver.ts";
import type { Views } from "./views.ts";

/** The snapshots of a run with their numbers unpacked. */
export interface Flow extends Omit<FlowPayload, "image" | "velocity"> {
  readonly image: Float32Array;
  readonly velocity: Float32Array;
  /** Largest magnitude of a velocity, of any sample. */
  readonly fastest: number;
}

/** Unpacks the snapshots of a run. */
export function flowOf(payload: FlowPayload): Flow {
  const velocity = decode(payload.velocity);
  const fastest = velocity.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return { ...payload, image: decode(payload.image), velocity, fastest };
}

/** One sample on its way in four linked pictures, and its pixel over time. */
export class Explorer {
  readonly #runs: readonly { readonly name: string; readonly flow: Flow }[];
  readonly #place = byId("explorer");
  readonly #choice = byId<HTMLSelectElement>("explorer-run");
  readonly #magma: Uint8Array;
  readonly #diverging: Uint8Array;
  readonly #chart = new PixelChart();
  #sample = 0;
  #pixel: Pixel;
  #held = false;

  constructor(
    runs: readonly RunPayload[],
    palettes: { readonly magma: string; readonly diverging: string },
    readonly clock: Clock,
    readonly views: Views,
  ) {
    this.#runs = runs.flatMap(({ name, flow }) => flow ? [{ name, flow: flowOf(flow) }] : []);
    this.#magma = bytesOf(palettes.magma);
    this.#diverging = bytesOf(palettes.diverging);
    const { shape: [, , H, W] } = this.#runs[0].flow;
    this.#pixel = { row: H >> 1, column: W >> 1 };
    chooseRun(this.#choice, this.#runs.map(({ name }) => name), 0, () => {
      this.#thumbnails();
      views.changed();
    });
    this.#thumbnails();
    for (const frame of this.#place.querySelectorAll<HTMLElement>(".frame")) {
      pointAtPixels(frame, [H, W], () => this.#pixel, (pixel, hold) => this.#point(pixel, hold));
    }
    byId("pixel-release").addEventListener("click", () => this.#hold(false));
    views.add(this.#place, () => this.#draw());
    views.add(this.#chart.element, () => this.#drawChart());
  }

  get #flow(): Flow {
    return this.#runs[Number(this.#choice.value)].flow;
  }

  #point(pixel: Pixel, hold: boolean): void {
    if (this.#held && !hold) return;
    this.#pixel = pixel;
    this.#hold(hold);
    this.views.changed(this.#place);
    this.views.changed(this.#chart.element);
  }

  #hold(held: boolean): void {
    this.#held = held;
    byId("pixel-release").hidden = !held;
  }

  /** Buttons that show where each sample ends, to choose it by. */
  #thumbnails(): void {
    const { shape: [S, M, H, W], image } = this.#flow;
    this.#sample = Math.min(this.#sample, S - 1);
    const buttons = Array.from({ length: S }, (_, s) => {
      const canvas = element("canvas", { "aria-hidden": "true" });
      const end = ((s + 1) * M - 1) * H * W;
      drawImage(canvas, image.subarray(end, end + H * W), [H, W], { palette: this.#magma, range: [0, 1] });
      const button = element("button", { type: "button", "aria-label": `Sample ${s + 1}` }, canvas);
      button.addEventListener("click", () => {
        this.#sample = s;
        mark();
        this.views.changed();
      });
      return button;
    });
    const mark = () =>
      buttons.forEach((button, s) => button.setAttribute("aria-pressed", `${s === this.#sample}`));
    mark();
    byId("explorer-samples").replaceChildren(...buttons);
  }

  #draw(): void {
    const { shape: [, M, H, W], t, velocityT, fastest } = this.#flow;
    const m = nearestTime(t, this.clock.t);
    const [x, v] = [this.#field("image", m), this.#field("velocity", m)];
    const end = x.map((value, i) => value + (1 - t[m]) * v[i]);
    const size = [H, W] as const;
    const grey = { palette: this.#magma, range: [0, 1] as const };
    // Red where pixels brighten, blue where they darken.
    const signedColours = { palette: this.#diverging, range: [fastest, -fastest] as const };
    drawImage(byId("view-x"), x, size, grey);
    drawImage(byId("view-v"), v, size, signedColours);
    drawImage(byId("view-end"), m === M - 1 ? x : end, size, grey);
    drawImage(byId("view-quiver"), x, size, grey);
    drawQuiver(byId("view-arrows"), quiverOf(v, size), size, this.#steepest());
    byId("view-v-scale").textContent = `\u2212${fastest.toFixed(1)} to +${fastest.toFixed(1)}`;
    byId("flow-times").textContent = `snapshot at t = ${t[m].toFixed(3)}` +
      (velocityT[m] === t[m] ? "" : `; velocity of the last step, t = ${velocityT[m].toFixed(3)}`);

    const { row, column } = this.#pixel;
    const i = row * W + column;
    byId("pixel-text").textContent =
      `row ${row}, column ${column}: value ${signed(x[i])}, velocity ${signed(v[i])}, ` +
      `predicted end ${signed(m === M - 1 ? x[i] : end[i])}`;
    for (const mark of this.#place.querySelectorAll<HTMLElement>(".mark")) {
      mark.style.cssText = `left:${100 * column / W}%;top:${100 * row / H}%;width:${100 / W}%;height:${
        100 / H
      }%`;
    }
  }

  #field(name: "image" | "velocity", m: number): Float32Array {
    const { shape: [, M, H, W], [name]: values } = this.#flow;
    const start = (this.#sample * M + m) * H * W;
    return values.subarray(start, start + H * W);
  }

  /** The largest difference between blocks on the sample's whole way, so that arrows can be compared over t. */
  #steepest(): number {
    const { shape: [, M, H, W] } = this.#flow;
    let most = 0;
    for (let m = 0; m < M; m += Math.max(1, Math.floor(M / 10))) {
      const { dy, dx } = quiverOf(this.#field("velocity", m), [H, W]);
      dy.forEach((down, i) => most = Math.max(most, Math.hypot(down, dx[i])));
    }
    return most / 1.5; // the longest arrow spans one and a half blocks
  }

  #drawChart(): void {
    const { shape: [, M, , W], t, velocityT } = this.#flow;
    const { row, column } = this.#pixel;
    const over = (name: "image" | "velocity") => {
      return Array.from({ length: M }, (_, m) => this.#field(name, m)[row * W + column]);
    };
    this.#chart.show({
      key: `${this.#choice.value} ${this.#sample} ${row} ${column}`,
      t,
      velocityT,
      value: over("image"),
      velocity: over("velocity"),
    }, this.clock.t);
  }
}
