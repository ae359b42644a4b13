import type { Page } from "./answers.ts";
import { ServerError } from "./http.ts";
import type { Patience } from "./retry.ts";

/** Most pages of a list. */
const most = 200;

/**
 * Collects a list that a server gives in pages. It ends, whatever the server says: at a token that was there before, after
 * 200 pages, or when it has taken as long as one request with all its retries may take.
 *
 * @param pageAt asks for a page by its token; undefined asks for the first
 * @param url the server, for errors
 * @throws {ServerError} if the pages do not end
 */
export async function allPages<Item>(
  pageAt: (token: string | undefined) => Promise<Page<Item>>,
  url: string,
  { timeoutMs, maxRetries }: Patience,
): Promise<Item[]> {
  const items: Item[] = [];
  const seen = new Set<string>();
  const until = performance.now() + timeoutMs * (maxRetries + 1);
  let token: string | undefined;
  for (;;) {
    const page = await pageAt(token);
    for (const item of page.items) items.push(item);
    token = page.token;
    if (token === undefined) return items;
    if (seen.has(token)) throw endless(url, "a page comes twice");
    seen.add(token);
    if (seen.size >= most) throw endless(url, `there are more than ${most} pages`);
    if (performance.now() > until) {
      throw endless(url, "the pages take too long (MLFLOW_HTTP_REQUEST_TIMEOUT)");
    }
  }
}

function endless(url: string, why: string): ServerError {
  return new ServerError(`${url} gives a list without end: ${why}`, { passing: false });
}
