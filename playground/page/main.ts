/// <reference lib="dom" />
import { expose } from "npm:comlink@4.4.2";
import { messageOf } from "../../viz/report/page/remote_worker.ts";
import { byId } from "../../viz/report/page/dom.ts";
import { App } from "./app.ts";
import { TrainingService } from "./worker.ts";

if (globalThis.document) {
  try {
    new App(document.currentScript!.textContent!, matchMedia("(prefers-reduced-motion: reduce)").matches);
    document.documentElement.dataset.ready = "true"; // for tests
  } catch (error) {
    byId("message").textContent = messageOf(error);
    byId("message").hidden = false;
  }
} else expose(new TrainingService());
