/// <reference lib="dom" />
import { byId, element } from "../../viz/report/page/dom.ts";
import { type PlaygroundSettings, rowOf, type SettingName, settingNames } from "../settings.ts";

/** Settings with controls of their own elsewhere on the page. */
const elsewhere: readonly SettingName[] = ["data", "drawn", "step", "t", "noise", "label", "scale"];

/** The controls of the settings. */
export class Controls {
  readonly #onChange: (change: Partial<PlaygroundSettings>) => void;
  readonly #shown: ((settings: PlaygroundSettings) => void)[] = [];

  /** @param onChange called with each setting that the reader changes */
  constructor(onChange: (change: Partial<PlaygroundSettings>) => void) {
    this.#onChange = onChange;
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
    this.#onChange({ [name]: value });
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
    const slider = element("input", {
      type: "range",
      min: `${min}`,
      max: `${max}`,
      step: "0.25",
      id: `slide-${name}`,
    });
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
