import assert from "node:assert/strict";
import { builtWith, bundle, bundles } from "../../tools/bundle.ts";
import { granted, testUnless } from "../permissions.ts";

const reason = !granted("read") || !granted("run")
  ? "needs --allow-read --allow-run"
  : Deno.version.deno === builtWith
  ? undefined
  : `built with Deno ${builtWith}, this is ${Deno.version.deno}`;

for (const name of ["web", "page"] as const) {
  testUnless(reason, `${bundles[name].out} is up to date`, async () => {
    const built = await Deno.readTextFile(new URL(`../../${bundles[name].out}`, import.meta.url));
    assert.ok(built === await bundle(name), `it is out of date: run deno task build:${name}`);
  });
}

testUnless(reason, "bundle() uses the Deno version that denow installs", async () => {
  const denow = await Deno.readTextFile(new URL("../../denow", import.meta.url));
  assert.ok(denow.includes(`pinned=${builtWith}\n`));
});
