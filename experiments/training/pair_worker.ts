// A worker that pairs noise with data. A message brings a batch and a port to answer on.

import { pairTransport, type TransportBatch } from "../../models/flow/coupling.ts";

addEventListener("message", (event) => {
  const { data, ports: [port] } = event as MessageEvent<TransportBatch>;
  port.postMessage(pairTransport(data));
  port.close();
});
