import { extname } from "node:path";

const types: Record<string, string> = {
  ".ts": "text/typescript",
  ".js": "text/javascript",
  ".html": "text/html",
  ".wgsl": "text/plain",
  ".json": "application/json",
};

/**
 * Serves the checkout as a static host would.
 *
 * @param headers added to each response, besides the content type
 */
export function serveCheckout(headers: Record<string, string> = {}): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname } = new URL(request.url);
    try {
      const bytes = await Deno.readFile(new URL(`..${pathname}`, import.meta.url));
      const type = types[extname(pathname)] ?? "application/octet-stream";
      return new Response(bytes, { headers: { "content-type": type, ...headers } });
    } catch {
      return new Response("not found", { status: 404 });
    }
  });
}
