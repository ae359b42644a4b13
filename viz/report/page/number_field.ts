/// <reference lib="dom" />
import { byId } from "./dom.ts";

/** A field for a number, a whole one unless its step is `any`, which knows what is wrong with what its reader entered. */
export class NumberField {
  readonly #input: HTMLInputElement;

  /**
   * @param name what to call it
   * @param onEnter called when its reader presses Enter
   */
  constructor(id: string, readonly name: string, onEnter: () => void) {
    this.#input = byId<HTMLInputElement>(id);
    this.#input.addEventListener("keydown", ({ key }) => {
      if (key === "Enter") onEnter();
    });
  }

  get value(): number {
    return this.#input.valueAsNumber;
  }

  set value(value: number) {
    this.#input.value = String(value);
  }

  /** Checks what was entered and marks it if it is wrong; says what is wrong, or undefined for a number in range. */
  check(): string | undefined {
    const { min, max, step, value, validity: { valid, badInput, valueMissing } } = this.#input;
    this.#input.setAttribute("aria-invalid", `${!valid}`);
    if (valid) return undefined;
    // A text that is not a number is empty to programs; the browser alone knows it.
    const is = badInput ? "is not a number" : valueMissing ? "is empty" : `is ${value}`;
    return `${this.name} ${is} (expected a ${step === "any" ? "" : "whole "}number from ${min} to ${max}).`;
  }
}
