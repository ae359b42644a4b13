/** Plotly with the traces that charts of this library use; scatter is part of its core. */
import "./node_parts.js";
import Plotly from "npm:plotly.js@4.1.1/lib/core";
import bar from "npm:plotly.js@4.1.1/lib/bar";
import heatmap from "npm:plotly.js@4.1.1/lib/heatmap";
import quiver from "npm:plotly.js@4.1.1/lib/quiver";

Plotly.register([bar, heatmap, quiver]);
globalThis.Plotly = Plotly;
