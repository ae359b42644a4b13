/** How long the kernel is given to send what a cell shows. */
const pauseMs = 100;

/**
 * Works around a fault of the kernel of Deno 2.9: it says that a cell is done before it has sent what the cell shows, and
 * frontends drop what comes after that; on two cores one output in seven was lost. From the next cell on, each waits a
 * tenth of a second before it counts as done.
 *
 * The kernel shows results by a function of Deno's that is not public. Where there is none, this does nothing.
 */
export function keepOutputs(): void {
  const internals = Object(Reflect.get(Deno, Reflect.get(Deno, "internal")));
  const kernel: { broadcastResult?: (count: number, result: unknown) => Promise<void> } = Object(
    internals.jupyter,
  );
  const broadcast = kernel.broadcastResult;
  if (!broadcast || patched.has(broadcast)) return;
  const patient = async (count: number, result: unknown) => {
    await broadcast(count, result);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  };
  patched.add(patient);
  kernel.broadcastResult = patient;
}

/** Functions put there by this module, so that a cell run again does not wait twice. */
const patched = new WeakSet<object>();
