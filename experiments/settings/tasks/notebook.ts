import { integer, toggle } from "../kinds.ts";
import { defineSettings } from "../settings.ts";

/** The settings of the task that opens the notebooks. */
export const notebookSettings = defineSettings({
  port: integer({ doc: "port on this machine", min: 1, max: 65535, default: 8888 }),
  execute: toggle({
    doc: "run all cells of the notebooks instead, and save their outputs",
    default: false,
  }),
});
