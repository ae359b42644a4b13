/** What Plotly expects of Node; imported first. */
import events from "npm:events@3.3.0";

Object.assign(globalThis, { global: globalThis, require: () => events });
