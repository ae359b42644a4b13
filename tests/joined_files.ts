/**
 * Joins test files into one module, so that they share modules, compiled code and devices. `deno test` would start a
 * thread for each file, which loads and opens all of that again: `deno test tests/joined_files.ts --
 * tests/kernels/arguments_test.ts tests/kernels/registry_test.ts`
 */

import { context } from "../kernels/core/context.ts";

for (const path of Deno.args) await import(new URL(`../${path}`, import.meta.url).href);

// A test must not run on the device that another file opened.
context.device = undefined;
