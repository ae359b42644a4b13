/// <reference lib="dom" />
import { byId } from "../../viz/report/page/dom.ts";
import { disc, font, polyline, set, SharpCanvas } from "./canvas.ts";
import type { PlaneCanvas } from "./plane_canvas.ts";
import { currentProbe, probeTime } from "./plane_pen.ts";
import { between } from "./readings.ts";

/** Number of recent tips of the network's arrow to show. */
const maxTrail = 10;

/** The experiment of step 2: an untrained copy of the network learns slowly, and the reader can answer in its place. */
export class Experiment extends SharpCanvas {
  readonly #why = byId<HTMLDetailsElement>("why-mean");
  /** The copy to watch. */
  copy = { id: 0, steps: 0 };
  /** Distances of the network from the mean at the pinned place and time, each after a step. */
  #distances: { readonly step: number; readonly away: number }[] = [];
  #place = "";

  /** @param onChange called when the page should show another velocity */
  constructor(private readonly plane: PlaneCanvas, steps: () => number, onChange: () => void) {
    super(byId("closing-in"));
    for (const button of document.querySelectorAll<HTMLElement>("#copy button")) {
      button.addEventListener("click", () => {
        const { steps: text } = button.dataset;
        if (text === "none") this.forget();
        else this.copy.steps = text === "all" ? steps() : this.copy.steps + Number(text);
        onChange();
      });
    }
    this.#why.addEventListener("toggle", () => {
      this.plane.state.answer = this.#why.open ? [1.2, -0.4] : undefined;
      this.show();
    });
  }

  /** Starts over with an untrained copy. */
  forget(): void {
    this.copy = { id: this.copy.id + 1, steps: 0 };
    this.#distances = [];
  }

  /** Records the latest velocity. */
  record(): void {
    const { state } = this.plane;
    const look = currentProbe(state);
    if (!look || !state.exact || state.probe !== state.pinned) return this.show();
    const place = `${[...look.place, look.t]}`;
    const last = this.#distances.at(-1);
    if (!last || place !== this.#place || look.step < last.step) [this.#distances, state.trail] = [[], []];
    this.#place = place;
    if (this.#distances.at(-1)?.step !== look.step) {
      const away = between(state.exact.meeting(look.place, look.t).mean, look.velocity);
      this.#distances.push({ step: look.step, away });
      state.trail = [...state.trail, look.velocity].slice(-maxTrail);
    }
    this.show();
  }

  /** Shows the error at the place. */
  show(): void {
    const { state } = this.plane;
    this.changed();
    this.plane.changed();
    if (!state.answer || !state.exact) return;
    const { mean, spread } = state.exact.meeting(state.probe, probeTime(state.t));
    const distance = between(mean, state.answer) ** 2 / 2;
    const error = spread + distance;
    const whole = Math.max(3 * spread, error, 1e-9);
    byId("error-spread").style.width = `${100 * spread / whole}%`;
    byId("error-distance").style.width = `${100 * distance / whole}%`;
    byId("error-text").textContent = `Error ${error.toFixed(2)} = spread ${spread.toFixed(2)} + ` +
      `½ distance² ${distance.toFixed(2)}`;
    Object.assign(byId("error-text").dataset, { error, spread, distance }); // for tests
  }

  protected override draw(): void {
    const { width, height, colours: { muted, line, velocity } } = this;
    const context = this.cleared();
    const [left, right, top, bottom] = [4, width - 8, 20, height - 6];
    const last = this.#distances.at(-1);
    const furthest = Math.max(0.1, ...this.#distances.map(({ away }) => away));
    const x = (step: number) =>
      left + (right - left) * Math.log1p(step) / Math.log1p(Math.max(30, last?.step ?? 0));
    const y = (away: number) => bottom - (bottom - top) * away / furthest;
    set(context, { font: font(12), textBaseline: "middle", fillStyle: muted, textAlign: "left" });
    context.fillText(`distance to the mean${last ? `: ${last.away.toFixed(2)}` : ""}`, left, 8);
    context.textAlign = "right";
    if (last) context.fillText(`step ${last.step.toLocaleString("en")}`, right, 8);
    context.strokeStyle = line;
    context.strokeRect(left, bottom, right - left, 0);
    set(context, { strokeStyle: velocity, fillStyle: velocity, lineWidth: 2 });
    polyline(context, this.#distances.map(({ step, away }) => [x(step), y(away)]));
    if (last) disc(context, x(last.step), y(last.away), 4);
  }
}
