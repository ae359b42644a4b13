/** Losses of a run, by their names in `metrics.jsonl` and on servers, in the words of the docs. */
const losses = {
  test_loss: "test loss",
  val_loss: "validation loss",
  train_loss: "training loss",
};

/** What else a run measures while it trains. */
const courses = {
  gradient_norm: "norm of the gradients",
  learning_rate: "learning rate",
  transport_cost: "mean squared distance of noise and image, as `--coupling` pairs them",
  independent_cost: "the same for random pairs",
  epoch: "epochs so far",
  elapsed_seconds: "seconds of training, over all sessions",
  "system/images_per_second": "images per second",
  "system/process_memory_megabytes": "memory of the program, 1 MB = 1e6 bytes",
  "system/device_memory_megabytes": "memory of the device",
};

/** The metrics of training in the words of the docs, by name; figures of an evaluation, `eval/...`, are its own. */
export const metricWords: Readonly<Record<string, string>> = { ...losses, ...courses };

/** Whether a metric says how good a network is, as losses and figures without the ends of their intervals do. */
export function isResult(name: string): boolean {
  return !Object.hasOwn(courses, name) && !/^(eval\/.*_(low|high)|system\/.*)$/.test(name);
}

/** Names of metrics in the order of tables: losses, figures as they were logged, those of other programs, the rest. */
export function sortedMetrics(metrics: Iterable<string>): string[] {
  const [first, last] = [losses, courses].map((words) => Object.keys(words));
  const place = (name: string) => {
    const [loss, course] = [first.indexOf(name), last.indexOf(name)];
    return loss >= 0 ? loss : name.startsWith("eval/") ? first.length : first.length + 2 + course;
  };
  return [...metrics].sort((a, b) => place(a) - place(b));
}
