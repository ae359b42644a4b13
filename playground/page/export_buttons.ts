/// <reference lib="dom" />
import { byId } from "../../viz/report/page/dom.ts";
import { programText } from "../program_text.ts";
import type { PlaygroundSettings } from "../settings.ts";
import type { ToTrainer } from "./messages.ts";
import type { PlaneCanvas } from "./plane_canvas.ts";

/** Number of frames of a GIF, and its side in pixels. */
const [frames, side] = [25, 400];

/** The buttons that export something: link, program, weights, picture and GIF. */
export class ExportButtons {
  readonly #plane: PlaneCanvas;

  /**
   * @param settings returns the page's settings
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

  /** Saves a file from the worker. */
  save(name: string, bytes: Uint8Array<ArrayBuffer>): void {
    save(new Blob([bytes]), name);
  }

  /** Pictures of the plane at times from noise to data, RGBA. */
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

function save(blob: Blob, name: string): void {
  const href = URL.createObjectURL(blob);
  const link = Object.assign(document.createElement("a"), { href, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(href), 10_000);
  say(`Saved ${name}.`);
}
