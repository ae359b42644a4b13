/**
 * Does work while no other program, or worker of this one, does work in turn for the same folder. The system ends the turn
 * with the program, however that ends.
 *
 * @param folder which must be there
 */
export async function inTurn<T>(folder: string, work: () => Promise<T>): Promise<T> {
  using turn = await Deno.open(folder, { read: true });
  await turn.lock(true);
  return await work();
}
