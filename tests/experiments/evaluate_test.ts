import assert from "node:assert/strict";
import { cp } from "node:fs/promises";
import { readEvaluation, readJudged, readLiveJudge } from "../../experiments/evaluation/evaluation.ts";
import { figureKeys } from "../../experiments/evaluation/figures.ts";
import { readSolverCosts } from "../../experiments/evaluation/solver_comparison.ts";
import { isLocked, lockRun } from "../../experiments/run/run_folder.ts";
import { freePort } from "../free_port.ts";
import { oneThread, testTask } from "./cli.ts";
import { makeRun, quickly, useFewTestImages } from "./evaluated_run.ts";
import { assertMistakes, testMistakes } from "./refusals.ts";
import { aboutFile, rows } from "../../experiments/run/files.ts";
import { runFiles } from "../../experiments/tracking/record.ts";
import { dataIn, tracesIn } from "../viz/report/page_content.ts";

testTask("evaluate writes the same figures to files, metrics and report", async (place) => {
  await makeRun(place);
  const { stdout } = await place.succeed("evaluate", `a ${quickly}`);
  const evaluation = (await readEvaluation(place.file("a")))!;
  assert.deepEqual(Object.keys(evaluation.figures).sort(), figureKeys.toSorted());
  for (const [name, figure] of Object.entries(evaluation.figures)) {
    const { low, value, high, evaluations, seconds } = figure;
    assert.ok(low <= value && value <= high, `${name}: ${low}, ${value}, ${high}`);
    assert.ok(evaluations > 0 && seconds > 0, name);
  }
  const { frechet } = evaluation.figures;
  assert.ok(frechet!.real! < frechet!.noise!, "real images are nearer to test images than noise is");
  assert.equal(evaluation.samples.evaluations, 170 * 2 * 2, "steps of Euler, with and without the class");
  for (const { classes } of evaluation.judges) assert.equal(classes!.reduce((sum, n) => sum + n, 0), 170);
  const how = "euler, 2 steps, 2 evaluations each with and without the class, equal numbers of each class";
  assert.ok(stdout.includes(`170 samples from the noise of seed 0, ${how}`), stdout);
  const report = await place.text("a/report.html");
  for (const { path, report: section } of rows) {
    const isShown = !section || !await place.exists("a", path) || report.includes(`id="${section}"`);
    assert.ok(isShown, `${path}: ${section}`);
  }
  for (const { path } of await runFiles(place.file("a"))) assert.notEqual(aboutFile(path), "", path);

  const { reference } = (await readLiveJudge(place.file("a")))!;
  assert.equal(reference.rows, 170);
  assert.ok(reference.values.some((value) => value > 0), "the judge's features of test images");
  const { runs: [{ live }] } = dataIn(report);
  assert.ok(Object(live).judge, "the page judges fresh samples");
  assert.ok(tracesIn(report, "quality-straightness")[0].y.every((value) => value! > 0));

  const judged = (await readJudged(place.file("a")))!;
  assert.deepEqual(judged.shape.slice(1), [3, 1, 12, 12]);
  const least = judged.confidence.map((p, n) => Math.min(p, judged.second!.confidence[n]));
  assert.deepEqual(least, least.toSorted(), "first those of which one judge is least certain");
  assert.equal(judged.labels?.length, judged.shape[0]);
  assert.match(report, /data-asked="\d" data-seen="\d" data-disputed="(yes|no)"/);
  assert.match(report, /, chance: \d/);

  // Other runs are compared with it only if they were evaluated alike.
  await cp(place.file("a"), place.file("b"), { recursive: true });
  const { stdout: equal } = await place.succeed("runs", "a b --all");
  assert.match(equal, /eval\/frechet_low[^]*\nlenet and vgg do not disagree about any figure\n$/);
  const other = { ...evaluation, samples: { ...evaluation.samples, count: 180 } };
  await place.write("b/evaluation.json", other);
  const warning = "Figures of quality of these runs are not comparable (samples: 170 or 180)";
  assert.ok((await place.succeed("runs", "a b")).stdout.endsWith(`\n${warning}\n`));
  await place.succeed("report", "a b --device cpu --no-live --out both.html");
  assert.ok((await place.text("both.html")).includes(`<p class="note">${warning}</p>`));
});

testTask("evaluate needs no classes, labels or server, and takes files of weights", async (place) => {
  await makeRun(place, "--no-conditional --path cosine");
  await place.succeed("evaluate", `a ${quickly} --judge lenet`);
  const { figures: { frechet, asked_class, velocity_error } } = (await readEvaluation(place.file("a")))!;
  assert.ok(frechet && !asked_class);
  const evaluated = async (checkpoint: string) => {
    const flags = `${checkpoint}.safetensors --data data --out out.json --judge none`;
    await place.succeed("evaluate", `${flags} ${quickly.replace("--bits-images 3", "--bits-images 0")}`);
    return await place.json("out.json");
  };
  const { weights, figures } = await evaluated("a/ema");
  assert.deepEqual([weights.file, figures.frechet], ["a/ema.safetensors", undefined]);
  assert.equal(figures.velocity_error.value, velocity_error!.value);
  const last = await evaluated("--checkpoint a/last");
  assert.notEqual(last.figures.velocity_error.value, velocity_error!.value);
  const noisy = ["ConfigError: Cannot use --solver sde with ema.safetensors: ", " another path "] as const;
  await assertMistakes(place, "evaluate", { [`a --count 170 ${oneThread} --solvers sde:steps=2`]: noisy });

  for (const name of ["train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"]) {
    await Deno.remove(place.file("data", name));
  }
  const server = `http://127.0.0.1:${freePort()}`;
  const once = { MLFLOW_HTTP_REQUEST_MAX_RETRIES: "0" };
  const { stderr } = await place.succeed("evaluate", `a ${quickly} --mlflow ${server}`, once);
  assert.match(stderr, /\nMLflow: [^\n]+; \S*denow task sync \S+ --mlflow http:\S+ sends the rest\n$/);
  assert.match(stderr, /No judges for data, which has no labels: figures that need them are left out/);
  const without = (await readEvaluation(place.file("a")))!;
  assert.ok(!without.figures.frechet && without.figures.authentic && without.figures.bits_per_dimension);
  assert.deepEqual(without.judges, []);
});

testTask("evaluate --solvers compares solvers on the same noise, and keeps results", async (place) => {
  await makeRun(place);
  await useFewTestImages(place); // so that there is little to judge
  const compare = (flags: string) => place.succeed("evaluate", `a --count 60 ${oneThread} ${flags}`);
  const { stdout } = await compare("--solvers euler:steps=2 --solvers heun:steps=2,grid=quadratic");
  assert.match(stdout, /60 samples per solver, all from the noise of seed 0/);
  assert.match(stdout, /Kernel distance \(lenet\)\n.*euler:steps=2 +4 +[-\d.]+ \([-\d.]+ to [-\d.]+\)\n/s);
  assert.match(stdout, /\nlenet and vgg [^\n]+\nCheapest solver within the best one's interval: /);
  await compare("--solvers euler:steps=2 --solvers heun:steps=2,grid=quadratic --solvers dopri5:rtol=1e-1");
  const { solvers } = (await readSolverCosts(place.file("a", "solvers.json")))!;
  assert.deepEqual(solvers.map(({ spec }) => spec), [
    "euler:steps=2",
    "heun:steps=2,grid=quadratic",
    "dopri5:rtol=1e-1",
  ]);
  const costs = solvers.map(({ evaluations }) => evaluations);
  assert.deepEqual(costs.slice(0, 2), [4, 6], "guided: with and without the class");
  assert.ok(costs[2] >= 16, "twice 2 + 6 for each try");
  const keys = ["asked_class", "vgg/kernel", "vgg/confident", "vgg/asked_class"] as const;
  assert.ok(solvers.every(({ figures }) => keys.every((key) => figures[key])), "both judges");
  await compare("--solvers euler:steps=2");
  const after = (await readSolverCosts(place.file("a", "solvers.json")))!;
  assert.deepEqual(after.solvers, solvers, "an earlier result is not measured again");
  assert.ok((await place.text("a/report.html")).includes('<section id="solvers"'));
  {
    using _ = await lockRun(place.file("a"));
    const busy = "RunError: Cannot write a: another program is ";
    await assertMistakes(place, "evaluate", { "a --count 60 --device cpu --solvers euler:steps=1": busy });
  }
  const other = await compare("--seed 1 --solvers euler:steps=1");
  assert.match(other.stderr, /Remeasuring: seed changed/);
  assert.equal((await readSolverCosts(place.file("a", "solvers.json")))!.solvers.length, 1);

  const flags = `--data data --count 60 ${oneThread} --guidance 2 --solvers euler:steps=1`;
  await place.succeed("evaluate", `a/last.safetensors ${flags} --out costs.json`);
  const { common, solvers: [alone] } = (await readSolverCosts(place.file("costs.json")))!;
  assert.deepEqual([common.guidance, alone.evaluations], [2, 2]);
});

testTask("evaluate stopped by Ctrl-C writes nothing", async (place) => {
  await makeRun(place);
  const before = await place.listing(place.file("a"));
  const isAtWork = () => isLocked(place.file("a")); // it listens for signals before
  const flags = `a --count 200 ${oneThread} --solver euler:steps=3000`;
  const { code, stderr } = await place.stopWhen(isAtWork, "evaluate", flags);
  assert.equal(code, 130, stderr);
  const after = await place.listing(place.file("a"));
  for (const [path, entry] of before) assert.equal(after.get(path), entry, path);
  assert.ok(![...after.keys()].some((path) => path.endsWith("evaluation.json")));
});

testMistakes("evaluate", {
  "--device cpu": "ConfigError: Missing FILE|RUN",
  nowhere: "ConfigError: Cannot find the run nowhere",
  "a b.safetensors":
    "ConfigError: Cannot use b.safetensors with other words (expected a single file, or runs)",
  "a --checkpoint b": "ConfigError: Cannot use --checkpoint with the run a",
  "a --out b.json": "ConfigError: --out has no effect without a file of weights; remove it",
  "a --judge none --judge-steps 9": "ConfigError: --judge-steps has no effect without a judge; remove it",
  "a --solvers euler:steps=2 --bits-images 4":
    "ConfigError: --bits-images has no effect with --solvers; remove it",
  "a --solvers heun:steps=2 --solvers hein:steps=2":
    'ConfigError: Cannot use --solvers "hein:steps=2": hein:steps=2: expected ',
  "a --solvers heun:steps=2,hein:steps=2":
    'ConfigError: Cannot use --solvers "heun:steps=2,hein:steps=2": heun has no setting hein:steps; it has ',
  "a --solvers heun:steps=2 --solvers heun:steps=2":
    'ConfigError: Cannot use --solvers "heun:steps=2": heun:steps=2 is listed twice',
  "a --resize 32": "ConfigError: --resize has no effect without a file of weights; remove it",
  "--checkpoint b --solver dopri5:rtol=2":
    'ConfigError: Cannot use --solver "dopri5:rtol=2": rtol of dopri5 is "2" (expected a number above 0 and of at most 1)',
});

testTask("evaluate refuses too many samples, and runs without weights", async (place) => {
  await makeRun(place);
  await assertMistakes(place, "evaluate", {
    "a --device cpu --count 400":
      "ConfigError: Cannot compare 400 samples: there are only 270 training images",
    "a --device cpu --count 170 --solver dopri5:rtol=1e-3,max-evaluations=3":
      "SolverError: Cannot solve in 3 evaluations",
  });
  for (const name of ["ema", "last"]) await Deno.remove(place.file("a", `${name}.safetensors`));
  const says = "RunError: Cannot evaluate a: it has no ema.safetensors or last.safetensors";
  await assertMistakes(place, "evaluate", { "a --device cpu": says });
});
