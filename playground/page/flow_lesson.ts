/// <reference lib="dom" />
/** The program of the module that defines `<flow-lesson>`. It follows the page, in the constant `playgroundText`. */

declare const playgroundText: string;

let address: string | undefined;

/**
 * `<flow-lesson step="average" settings="data=ring&seed=7">`: a step of the playground as an element of another page. Its
 * height fits its content.
 */
class FlowLesson extends HTMLElement {
  static readonly observedAttributes = ["step", "settings"];
  readonly #frame = Object.assign(document.createElement("iframe"), { loading: "lazy" });

  connectedCallback(): void {
    this.#frame.style.cssText = "display: block; border: 0; width: 100%; height: 600px";
    this.#frame.addEventListener("load", () => {
      const content = this.#frame.contentDocument?.body;
      if (content) {
        new ResizeObserver(() => this.#frame.style.height = `${content.offsetHeight}px`).observe(content);
      }
    });
    this.#show();
    this.append(this.#frame);
  }

  attributeChangedCallback(): void {
    if (this.isConnected) this.#show();
  }

  #show(): void {
    const step = this.getAttribute("step") ?? "watch";
    const settings = this.getAttribute("settings") ?? "";
    address ??= URL.createObjectURL(new Blob([playgroundText], { type: "text/html" }));
    this.#frame.title = `Flow matching: ${step}`;
    this.#frame.src = `${address}#step=${step}&${settings}`;
  }
}

customElements.define("flow-lesson", FlowLesson);
