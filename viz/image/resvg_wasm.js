// JavaScript, since TypeScript has no syntax yet for importing the source of a module. Unlike reading the file, such an
// import needs no permission, also for those who import this library over HTTP.
import source resvgWasm from "npm:@resvg/resvg-wasm@2.6.2/index_bg.wasm";

export default resvgWasm;
