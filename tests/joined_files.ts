/**
 * Joins test files to one module, so that they share modules, compiled code and devices. `deno test` starts a thread for
 * each file that it is told, which loads and opens all of that again:
 *
 * `deno test tests/joined_files.ts -- tests/kernels/arguments_test.ts tests/kernels/registry_test.ts`
 */

import { context } from "../kernels/core/context.ts";

for (const path of Deno.args) await import(new URL(`../${path}`, import.meta.url).href);

// So that no test runs on the device that another file has opened.
context.device = undefined;
