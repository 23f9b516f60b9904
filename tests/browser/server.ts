/** A server of files in memory, on this machine only. */

import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Files } from "../support/sources";

export interface Server {
  readonly url: string;
  close(): Promise<void>;
}

/** What makes a page `crossOriginIsolated`, and so gives it SharedArrayBuffer. */
export const ISOLATION = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
};

const TYPES: Readonly<Record<string, string>> = { html: "text/html; charset=utf-8", js: "text/javascript" };

/**
 * Serves files by their paths; HTTP ranges too, as every static host does.
 *
 * @param headers of every response
 */
export async function serve(files: Files, headers: Readonly<Record<string, string>>): Promise<Server> {
  const server = createServer((request, response) => {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    const path = new URL(request.url ?? "/", "http://localhost").pathname.slice(1);
    if (Object.hasOwn(files, path)) send(response, path, files[path], request.headers.range);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error ? reject(error) : resolve()));
        server.closeAllConnections();
      }),
  };
}

function send(response: ServerResponse, path: string, bytes: Uint8Array, range: string | undefined): void {
  const type = TYPES[path.slice(path.lastIndexOf(".") + 1)] ?? "application/octet-stream";
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range ?? "") ?? [];
  if (first === undefined) {
    response.writeHead(200, { "content-type": type }).end(bytes);
  } else if (Number(first) >= bytes.length) {
    response.writeHead(416, { "content-range": `bytes */${bytes.length}` }).end();
  } else {
    const end = Math.min(Number(last) + 1, bytes.length);
    const contentRange = `bytes ${first}-${end - 1}/${bytes.length}`;
    response.writeHead(206, { "content-type": type, "content-range": contentRange });
    response.end(bytes.subarray(Number(first), end));
  }
}
