import { playgroundHtml } from "../playground/playground_html.ts";
import library from "../web/flow.js" with { type: "text" };
import { say } from "./program/output.ts";
import { main, task } from "./program/task.ts";
import { checkFolderOf, writeAtomic } from "./run/atomic_write.ts";
import { outputFile } from "./settings/kinds.ts";
import { defineSettings } from "./settings/settings.ts";

/** The playground as one HTML file. */
export function playgroundPage(): Promise<string> {
  return Promise.resolve(playgroundHtml({ library }));
}

/** `deno task build:playground`: the playground as a file that works without a server. */
export const buildPlaygroundTask = task({
  name: "build:playground",
  about: "Write the playground: a page that trains a flow and shows why it works, as one file",
  settings: defineSettings({
    out: outputFile([".html"], { doc: "the page", default: "playground.html" }),
  }),
  async run({ out }) {
    await checkFolderOf(out);
    const page = await playgroundPage();
    await writeAtomic(out, page);
    say(`${out}: ${(page.length / 1e6).toFixed(2)} MB; open it in a browser`);
  },
});

if (import.meta.main) await main(buildPlaygroundTask);
