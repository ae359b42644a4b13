/** The part of MLflow's REST API that tracking uses. Responses are checked like files. */

import {
  anyNumber,
  check,
  type Checked,
  fieldsOf,
  flag,
  ifGiven,
  isObject,
  listOf,
  textField,
  word,
} from "../run/field_checks.ts";

const entries = ifGiven(listOf(fieldsOf({ key: word, value: ifGiven(textField) })));
/** NaN and Infinity arrive as text. */
const value = check<number | string>(
  "a number",
  (value) => [textField, anyNumber].some((is) => is.accepts(value)),
);
const run = fieldsOf({
  info: fieldsOf({
    run_id: word,
    experiment_id: word,
    run_name: ifGiven(textField),
    status: ifGiven(textField),
    start_time: ifGiven(anyNumber),
    end_time: ifGiven(anyNumber),
    artifact_uri: ifGiven(textField),
    lifecycle_stage: ifGiven(textField),
  }),
  data: ifGiven(fieldsOf({
    metrics: ifGiven(listOf(fieldsOf({ key: word, value }))),
    params: entries,
    tags: entries,
  })),
  inputs: ifGiven(fieldsOf({ dataset_inputs: ifGiven(listOf(fieldsOf({}))) })),
  outputs: ifGiven(fieldsOf({ model_outputs: ifGiven(listOf(fieldsOf({ model_id: word }))) })),
});
const point = fieldsOf({ step: ifGiven(value), timestamp: ifGiven(value) });
const model = fieldsOf({
  info: fieldsOf({ model_id: word, artifact_uri: textField, status: ifGiven(textField), tags: entries }),
  data: ifGiven(fieldsOf({
    metrics: ifGiven(listOf(fieldsOf({ key: word, step: ifGiven(value), timestamp: ifGiven(value) }))),
  })),
});
const page = { next_page_token: ifGiven(textField) };
const file = fieldsOf({ path: word, is_dir: ifGiven(flag), file_size: ifGiven(value) });
const experiment = fieldsOf({ experiment_id: word, lifecycle_stage: ifGiven(textField) });
const done = fieldsOf({});

/** The required fields of responses; MLflow omits empty fields. `{model_id}` stands for that field. */
export const endpoints = {
  "experiments/get-by-name": fieldsOf({ experiment }),
  "experiments/create": fieldsOf({ experiment_id: word }),
  "runs/get": fieldsOf({ run }),
  "runs/search": fieldsOf({ runs: ifGiven(listOf(run)), ...page }),
  "runs/create": fieldsOf({ run }),
  "runs/update": done,
  "runs/delete": done,
  "runs/delete-tag": done,
  "runs/log-batch": done,
  "runs/log-inputs": done,
  "runs/outputs": done,
  "logged-models": fieldsOf({ model }),
  "logged-models/search": fieldsOf({ models: ifGiven(listOf(model)) }),
  "logged-models/{model_id}": done,
  "metrics/get-history": fieldsOf({ metrics: ifGiven(listOf(point)), ...page }),
  "artifacts/list": fieldsOf({ files: ifGiven(listOf(file)) }),
};
export type EndpointPath = keyof typeof endpoints;
export type AnswerOf<Path extends EndpointPath> = Checked<typeof endpoints[Path]>;

/** The response to an upload. */
export const stored = check<object>(
  "an empty object",
  (answer) => isObject(answer) && Object.keys(answer).length === 0,
);

/** A run as a server returns it. */
export type ServerRun = Checked<typeof run>;

/** A logged model as a server returns it. */
export type ServerModel = Checked<typeof model>;

/** Identifies a point of a metric by step and time, because values may come back with another precision. */
export function pointId({ step, timestamp }: Partial<Checked<typeof point>>): string {
  return `${step ?? 0} ${timestamp ?? 0}`;
}
