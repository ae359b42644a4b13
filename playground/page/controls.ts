/// <reference lib="dom" />
import { byId, element } from "../../viz/report/page/dom.ts";
import { programText } from "../program_text.ts";
import { type PlaygroundSettings, rowOf, type SettingName, settingNames } from "../settings.ts";

/** Milliseconds that the flow takes from noise to data. */
const playMs = 2400;
/** Milliseconds that it pauses there before it repeats. */
const pauseMs = 1400;
/** Number of still pictures for readers who prefer reduced motion. */
const stills = 5;
/** Milliseconds per still picture. */
const stillMs = 900;

/** Settings with controls of their own elsewhere on the page. */
const elsewhere: readonly SettingName[] = ["data", "drawn", "step", "t", "noise", "label", "scale"];

/** The controls of the settings. */
export class Controls {
  readonly #shown: ((settings: PlaygroundSettings) => void)[] = [];

  /** @param onChange called with each setting that the reader changes */
  constructor(private readonly onChange: (change: Partial<PlaygroundSettings>) => void) {
    this.#fill(byId<HTMLSelectElement>("data"), "data");
    for (const place of document.querySelectorAll<HTMLElement>("[data-choices]")) this.#choices(place);
    for (const place of document.querySelectorAll<HTMLElement>("[data-slider]")) this.#slider(place);
    for (const name of settingNames.filter((name) => !elsewhere.includes(name))) {
      const { doc, names } = rowOf(name);
      const control = names ? element("select") : element("input", { type: "number" });
      byId("more-controls").append(element("label", { text: doc }, control));
      control.id = `set-${name}`;
      if (control instanceof HTMLSelectElement) this.#fill(control, name);
      else this.#number(control, name);
    }
  }

  show(settings: PlaygroundSettings): void {
    for (const show of this.#shown) show(settings);
  }

  #change(name: SettingName, text: string): boolean {
    const value = rowOf(name).parse(text);
    if (value === undefined) return false;
    this.onChange({ [name]: value });
    return true;
  }

  #fill(select: HTMLSelectElement, name: SettingName): void {
    for (const [value, text] of Object.entries(rowOf(name).names!)) {
      select.append(element("option", { value, text }));
    }
    select.addEventListener("change", () => this.#change(name, select.value));
    this.#shown.push((settings) => select.value = String(settings[name]));
  }

  #number(input: HTMLInputElement, name: SettingName): void {
    const { range: [min, max] = [0, 1], expected } = rowOf(name);
    Object.assign(input, { min, max, step: "any", required: true, title: expected });
    input.addEventListener("change", () => {
      const fits = this.#change(name, input.value);
      input.setAttribute("aria-invalid", `${!fits}`);
      input.setCustomValidity(fits ? "" : `Expected ${expected}`);
      if (!fits) input.reportValidity();
    });
    this.#shown.push((settings) => {
      input.value = String(settings[name]);
      input.setAttribute("aria-invalid", "false");
    });
  }

  /** A slider in the story. */
  #slider(place: HTMLElement): void {
    const name = place.dataset.slider as SettingName;
    const { doc, range: [min, max] = [0, 1] } = rowOf(name);
    const slider = element("input", { type: "range", min: `${min}`, max: `${max}`, step: "0.25" });
    slider.id = `slide-${name}`;
    const output = element("output", { for: slider.id });
    slider.addEventListener("input", () => output.textContent = slider.value);
    slider.addEventListener("change", () => this.#change(name, slider.value));
    place.append(element("label", { text: doc, for: slider.id }), slider, output);
    this.#shown.push((settings) => output.textContent = slider.value = String(settings[name]));
  }

  /** A row of choices in the story. */
  #choices(place: HTMLElement): void {
    const name = place.dataset.choices as SettingName;
    const { doc, names } = rowOf(name);
    const values = place.dataset.values?.split(" ") ?? Object.keys(names!);
    const group = element("fieldset", { class: "choices" }, element("legend", { text: doc }));
    for (const value of values) {
      const radio = element("input", { type: "radio", name: `choice-${name}`, value });
      radio.addEventListener("change", () => this.#change(name, value));
      group.append(element("label", {}, radio, document.createTextNode(names?.[value] ?? value)));
      this.#shown.push((settings) => radio.checked = String(settings[name]) === value);
    }
    place.append(group);
  }
}

/** Controls of the time t: a slider and a play button. */
export class TimeControl {
  readonly #slider = byId<HTMLInputElement>("t");
  #playing: number | undefined;

  /**
   * @param still whether playing shows still pictures
   * @param loops whether it repeats
   * @param onTime called with each time; settled means that the reader released the slider, or that playing ended
   */
  constructor(
    private readonly still: boolean,
    private readonly loops: () => boolean,
    private readonly onTime: (t: number, settled: boolean) => void,
  ) {
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
    let where = "on the way from noise to data";
    if (t < 0.005) where = "noise";
    if (t > 0.995) where = "data";
    this.#slider.ariaValueText = `t = ${t.toFixed(2)}, ${where}`;
  }

  /** Plays from the current time, or from noise if it is at the end. */
  play(): void {
    const start = this.#slider.valueAsNumber;
    let from = start >= 0.99 ? 0 : start;
    let started: number | undefined;
    const next = (now: number) => {
      started ??= now;
      const t = this.still
        ? Math.min(1, Math.floor((now - started) / stillMs) / (stills - 1))
        : Math.min(1, from + (now - started) / playMs);
      const lasts = this.still ? stillMs * stills : (1 - from) * playMs + pauseMs;
      const ended = now - started >= lasts;
      if (t === 1 && !this.loops()) {
        this.onTime(1, true);
        return this.stop();
      }
      if (ended) {
        from = 0;
        started = now;
      }
      if (t !== this.#slider.valueAsNumber) this.onTime(t, false);
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

/** Lets the buttons copy the link or the program. @param settings returns the page's settings */
export function offerCopies(settings: () => PlaygroundSettings): void {
  byId("copy-link").addEventListener("click", () => void copy(location.href, "The link"));
  byId("copy-code").addEventListener("click", () => {
    const base = location.protocol === "http:" ? `${location.origin}/` : "./";
    void copy(programText(settings(), base), "The program");
  });
}

function say(words: string): void {
  byId("exported").textContent = words;
}

/** Copies text to the clipboard; if the browser forbids it, shows the text for copying by hand. */
async function copy(text: string, what: string): Promise<void> {
  const shown = byId<HTMLTextAreaElement>("copied");
  shown.value = text;
  try {
    await navigator.clipboard.writeText(text);
    shown.hidden = true;
    say(`${what} was copied.`);
  } catch {
    shown.hidden = false;
    shown.select();
    say(`The browser does not allow copying here. ${what} is below: press Ctrl+C to copy it.`);
  }
}
