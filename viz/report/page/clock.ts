/// <reference lib="dom" />
import { pace, type Pacing } from "../../flow/pacing.ts";
import { byId } from "./dom.ts";

/** Milliseconds of a full play, and of each still if the reader prefers reduced motion. */
const playMs = 6000;
const stillMs = 700;

/** The time t of all views, set by a slider, keys and a player. */
export class Clock {
  readonly #slider = byId<HTMLInputElement>("time");
  readonly #output = byId("time-text");
  readonly #button = byId<HTMLButtonElement>("play");
  readonly #pacing = byId<HTMLSelectElement>("pacing");
  #frame: number | undefined;

  /** @param onChange called with each t */
  constructor(readonly onChange: (t: number) => void) {
    this.#slider.addEventListener("input", () => {
      this.stop();
      this.#show();
    });
    this.#button.addEventListener("click", () => this.#frame === undefined ? this.#play() : this.stop());
    document.addEventListener("keydown", (event) => this.#key(event));
    this.#show();
  }

  /** The time, in [0, 1]. */
  get t(): number {
    return Number(this.#slider.value) / 100;
  }

  set position(position: number) {
    this.#slider.value = String(position);
    this.#show();
  }

  #show(): void {
    this.#output.textContent = `t = ${this.t.toFixed(2)}`;
    this.#slider.setAttribute("aria-valuetext", `t = ${this.t.toFixed(2)}`);
    this.onChange(this.t);
  }

  #play(): void {
    const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const frames = reduced ? 10 : 100;
    const frameMs = reduced ? stillMs : playMs / frames;
    const started = performance.now();
    this.#button.textContent = "Pause";
    const tick = () => {
      const frame = Math.min(Math.floor((performance.now() - started) / frameMs), frames);
      const positions = pace(this.#pacing.value as Pacing, 101, 101); // the reader may have changed it
      const position = positions[Math.round(100 * frame / frames)];
      if (position !== Number(this.#slider.value)) this.position = position;
      if (frame === frames) this.stop();
      else this.#frame = requestAnimationFrame(tick);
    };
    this.#frame = requestAnimationFrame(tick);
  }

  stop(): void {
    if (this.#frame !== undefined) cancelAnimationFrame(this.#frame);
    this.#frame = undefined;
    this.#button.textContent = "Play";
  }

  /** Arrow keys move t unless they have another use, such as scrolling a wide table. */
  #key(event: KeyboardEvent): void {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const busy = (event.target as Element).closest("input, select, textarea, .scroll, [data-arrows]");
    const held = event.altKey || event.ctrlKey || event.metaKey || event.shiftKey;
    if (by === undefined || busy || held) return;
    this.stop();
    this.position = Math.max(0, Math.min(100, Number(this.#slider.value) + by));
    event.preventDefault();
  }
}
