/** The address of a run's page. */
export function pageOf(server: string, run: { experimentId: string | null; runId: string | null }): string {
  // Without the query, the page opens in another mode.
  const [experiment, id] = [run.experimentId, run.runId].map((part) => encodeURIComponent(String(part)));
  return `${server}/#/experiments/${experiment}/runs/${id}?workflowType=machine_learning`;
}
