// A worker that pairs noise with data. Each message has a batch and a port for the answer.

import { pairTransport, type TransportBatch } from "../../models/flow/coupling.ts";

addEventListener("message", (event) => {
  const { data, ports: [port] } = event as MessageEvent<TransportBatch>;
  port.postMessage(pairTransport(data));
  port.close();
});
