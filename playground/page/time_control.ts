/// <reference lib="dom" />
import { byId } from "../../viz/report/page/dom.ts";

/** Milliseconds that the flow takes from noise to data. */
const playMs = 2400;

/** The time t: a slider, and a button that plays. */
export class TimeControl {
  readonly #slider = byId<HTMLInputElement>("t");
  readonly #onTime: (t: number, settled: boolean) => void;
  #playing: number | undefined;

  /** @param onTime called with each time; it is settled when the reader has chosen it, or the flow has been played */
  constructor(onTime: (t: number, settled: boolean) => void) {
    this.#onTime = onTime;
    this.#slider.addEventListener("input", () => {
      this.stop();
      onTime(this.#slider.valueAsNumber, false);
    });
    this.#slider.addEventListener("change", () => onTime(this.#slider.valueAsNumber, true));
    byId("play").addEventListener("click", () => this.#playing === undefined ? this.play() : this.stop());
  }

  /** Shows a time. */
  show(t: number): void {
    this.#slider.value = String(t);
    byId("t-text").textContent = `t = ${t.toFixed(2)}`;
  }

  /** Plays from where it is, or from noise. */
  play(): void {
    const start = this.#slider.valueAsNumber;
    const from = start >= 0.99 ? 0 : start;
    let started: number | undefined;
    const next = (now: number) => {
      started ??= now;
      const t = Math.min(1, from + (now - started) / playMs);
      this.#onTime(t, t === 1);
      if (t === 1) this.stop();
      else this.#playing = requestAnimationFrame(next);
    };
    this.#playing = requestAnimationFrame(next);
    byId("play").textContent = "Stop";
  }

  /** Stops playing. */
  stop(): void {
    if (this.#playing !== undefined) cancelAnimationFrame(this.#playing);
    this.#playing = undefined;
    byId("play").textContent = "Play";
  }
}
