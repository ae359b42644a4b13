/** Descriptions of a run's losses, by name in `metrics.jsonl` and on servers. */
const losses = {
  test_loss: "test loss",
  val_loss: "validation loss",
  train_loss: "training loss",
};

/** Descriptions of the other metrics of training. */
const courses = {
  gradient_norm: "norm of the gradients",
  learning_rate: "learning rate",
  transport_cost: "mean squared distance between noise and image, as paired by `--coupling`",
  independent_cost: "the same for random pairs",
  epoch: "epochs so far",
  elapsed_seconds: "seconds of training over all sessions",
  "system/images_per_second": "images per second",
  "system/process_memory_megabytes": "memory of the program, 1 MB = 1e6 bytes",
  "system/device_memory_megabytes": "memory of the device",
};

/** Descriptions of all metrics of training; an evaluation describes its own figures, `eval/...`. */
export const metricWords: Readonly<Record<string, string>> = { ...losses, ...courses };

/** Whether a metric is a measure of quality: a loss, or a figure but not the end of its interval. */
export function isResult(name: string): boolean {
  return !Object.hasOwn(courses, name) && !/^(eval\/.*_(low|high)|system\/.*)$/.test(name);
}

/** Names of metrics in the order of tables: losses, figures in logging order, metrics of other programs, then the rest. */
export function sortedMetrics(metrics: Iterable<string>): string[] {
  const [first, last] = [losses, courses].map((words) => Object.keys(words));
  const place = (name: string) => {
    const [loss, course] = [first.indexOf(name), last.indexOf(name)];
    return loss >= 0 ? loss : name.startsWith("eval/") ? first.length : first.length + 2 + course;
  };
  return [...metrics].sort((a, b) => place(a) - place(b));
}
