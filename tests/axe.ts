/** Accessibility violations that axe finds in a page. */

import axe from "npm:axe-core@4.11.0/axe.min.js" with { type: "text" };
import type { Page } from "./browser.ts";

/** The violations on a page, each with its elements; by default, of all rules. */
export async function axeComplaints(page: Page, rules?: readonly string[]): Promise<string[]> {
  await page.evaluate(axe);
  return await page.evaluate(async (rules) => {
    const { axe } = globalThis as unknown as {
      axe: {
        run(
          how: object,
        ): Promise<{ violations: { readonly id: string; readonly nodes: { readonly html: string }[] }[] }>;
      };
    };
    const { violations } = await axe.run(rules ? { runOnly: rules } : {});
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html)}`);
  }, rules);
}
