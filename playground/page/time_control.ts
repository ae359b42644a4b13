/// <reference lib="dom" />
import { byId } from "../../viz/report/page/dom.ts";

/** Milliseconds that the flow takes from noise to data, and that it pauses there before it repeats. */
const [playMs, pauseMs] = [2400, 1400];
/** Number of still pictures for readers who prefer reduced motion, and milliseconds per picture. */
const [stills, stillMs] = [5, 900];

interface Options {
  /** Whether it repeats. */
  loops(): boolean;
  /** Called with each time; settled means that the reader released the slider, or that playing ended. */
  onTime(t: number, settled: boolean): void;
}

/** Controls of the time t: a slider and a play button. */
export class TimeControl {
  readonly #slider = byId<HTMLInputElement>("t");
  readonly #still: boolean;
  readonly #options: Options;
  #playing: number | undefined;

  /** @param still whether playing shows still pictures */
  constructor(still: boolean, options: Options) {
    this.#still = still;
    this.#options = options;
    const { onTime } = options;
    this.#slider.addEventListener("input", () => {
      this.stop();
      onTime(this.#slider.valueAsNumber, false);
    });
    this.#slider.addEventListener("change", () => onTime(this.#slider.valueAsNumber, true));
    byId("play").addEventListener("click", () => {
      if (this.#playing === undefined) return this.play();
      this.stop();
      onTime(this.#slider.valueAsNumber, true);
    });
  }

  show(t: number): void {
    this.#slider.value = String(t);
    byId("t-text").textContent = `t = ${t.toFixed(2)}`;
    const where = t < 0.005 ? "noise" : t > 0.995 ? "data" : "on the way from noise to data";
    this.#slider.ariaValueText = `t = ${t.toFixed(2)}, ${where}`;
  }

  /** Plays from the current time, or from noise if it is at the end. */
  play(): void {
    const start = this.#slider.valueAsNumber;
    let from = start >= 0.99 ? 0 : start;
    let started: number | undefined;
    const next = (now: number) => {
      started ??= now;
      const t = this.#still
        ? Math.min(1, Math.floor((now - started) / stillMs) / (stills - 1))
        : Math.min(1, from + (now - started) / playMs);
      const ended = now - started - (this.#still ? stillMs * stills : (1 - from) * playMs + pauseMs) >= 0;
      if (t === 1 && !this.#options.loops()) {
        this.#options.onTime(1, true);
        return this.stop();
      }
      if (ended) [from, started] = [0, now];
      if (t !== this.#slider.valueAsNumber) this.#options.onTime(t, false);
      this.#playing = requestAnimationFrame(next);
    };
    this.#playing = requestAnimationFrame(next);
    byId("play").textContent = "Stop";
  }

  stop(): void {
    if (this.#playing !== undefined) cancelAnimationFrame(this.#playing);
    this.#playing = undefined;
    byId("play").textContent = "Play";
  }
}
