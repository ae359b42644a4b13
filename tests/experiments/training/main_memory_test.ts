import assert from "node:assert/strict";
import { freeMainMemory } from "../../../experiments/training/fit_memory.ts";

Deno.test("freeMainMemory() is what is available, or what a control group leaves", () => {
  const memory = { total: 64, available: 40, limit: Infinity };
  assert.equal(freeMainMemory(memory, 10), 40);
  assert.equal(freeMainMemory({ ...memory, limit: 30 }, 10), 20);
  assert.equal(freeMainMemory({ ...memory, limit: 60 }, 10), 40);
  assert.equal(freeMainMemory({ ...memory, limit: 8 }, 10), 0);
});
