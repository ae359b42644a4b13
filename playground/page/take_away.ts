/// <reference lib="dom" />
import { byId } from "../../viz/report/page/dom.ts";
import { programText } from "../program_text.ts";
import type { PlaygroundSettings } from "../settings.ts";
import type { ToTrainer } from "./messages.ts";
import type { PlaneCanvas } from "./plane_canvas.ts";

/** Times of a GIF, and pixels along its side. */
const [frames, side] = [25, 400];

/** The buttons that take something away: link, program, weights, picture and GIF. */
export class TakeAway {
  readonly #plane: PlaneCanvas;

  /**
   * @param settings those of the page
   * @param send sends a message to the worker, which answers with a file
   */
  constructor(plane: PlaneCanvas, settings: () => PlaygroundSettings, send: (message: ToTrainer) => void) {
    this.#plane = plane;
    const on = (id: string, act: () => void) => byId(id).addEventListener("click", act);
    on("copy-link", () => void copy(location.href, "The link"));
    on("copy-code", () => {
      const base = location.protocol === "http:" ? `${location.origin}/` : "./";
      void copy(programText(settings(), base), "The program");
    });
    on(
      "save-weights",
      () =>
        send(
          settings().step === "digits" ? { kind: "digits", command: { act: "save" } } : { kind: "weights" },
        ),
    );
    on("save-picture", () => {
      const shown = settings().step === "digits"
        ? byId<HTMLCanvasElement>("digits-grid")
        : this.#plane.element;
      shown.toBlob((blob) => blob && save(blob, "playground.png"));
    });
    on("save-gif", () => send({ kind: "gif", side, frames: this.#pictures() }));
  }

  /** Saves a file that the worker has made. */
  save(name: string, bytes: Uint8Array<ArrayBuffer>): void {
    save(new Blob([bytes]), name);
  }

  /** The plane at times from noise to data, RGBA. */
  #pictures(): Uint8ClampedArray<ArrayBuffer>[] {
    const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
    const context = canvas.getContext("2d", { willReadFrequently: true })!;
    return Array.from({ length: frames }, (_, i) => {
      this.#plane.paint(context, side, i / (frames - 1));
      return context.getImageData(0, 0, side, side).data as Uint8ClampedArray<ArrayBuffer>;
    });
  }
}

function say(words: string): void {
  byId("taken").textContent = words;
}

/** Copies a text; where the browser does not allow it, shows it to be copied by hand. */
async function copy(text: string, what: string): Promise<void> {
  const shown = byId<HTMLTextAreaElement>("copied");
  shown.value = text;
  try {
    await navigator.clipboard.writeText(text);
    shown.hidden = true;
    say(`${what} is copied.`);
  } catch {
    shown.hidden = false;
    shown.select();
    say(`This browser lets no page copy here. ${what} is below: copy it by Ctrl+C.`);
  }
}

function save(blob: Blob, name: string): void {
  const href = URL.createObjectURL(blob);
  const link = Object.assign(document.createElement("a"), { href, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(href), 10_000);
  say(`Saved ${name}.`);
}
