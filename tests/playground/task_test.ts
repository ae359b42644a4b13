import assert from "node:assert/strict";
import { join } from "node:path";
import { writePlayground } from "../../tools/playground_file.ts";
import { withFolder } from "../folder.ts";
import { testNeeding } from "../permissions.ts";

testNeeding(
  { read: true, write: true, net: true },
  "the playground is one file below 3 MB",
  () =>
    withFolder(async (folder) => {
      await writePlayground(join(folder, "page.html"));
      const html = await Deno.readTextFile(join(folder, "page.html"));
      assert.ok(html.length < 3e6);
      const markup = html.replace(/<(script|style)[\s\S]*?<\/\1>/g, "");
      const loads = markup.replaceAll(/<a [^>]*>/g, "");
      assert.doesNotMatch(loads, /\b(src|href)="(?!data:,)/);
    }),
);
