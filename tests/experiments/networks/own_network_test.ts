/** Networks of modules: their options, the runs that keep them, and what cannot be trained. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { decodeCheckpoint, decodeSafetensors, encodeSafetensors } from "../../../models/mod.ts";
import { assertRefused, testMistakes } from "../refusals.ts";
import { madeOnce, oneThread, type TaskName, testTask, type Workplace } from "../cli.ts";
import { chosenOptions, optionRows } from "../../../experiments/networks/own_network.ts";
import { bareOwnRun, library, mlp, ownRun, writeModule } from "./modules.ts";
import { storeNetwork } from "../stored_network.ts";
import { makePlan, tinyPlan } from "../study/tiny_study.ts";
import { dataIn } from "../../viz/report/page_content.ts";

const sampled = `${oneThread} --count 10 --out grid.png`;
const oneStep = bareOwnRun.replace("--epochs 3", "--max-steps 1");
/** Trains a run in `run`. */
const makeRun = (place: Workplace) =>
  madeOnce(place, "own network", async (place) => {
    await writeModule(place);
    const { stderr } = await place.succeed("train", `--model ./mlp.ts:hidden=8 ${ownRun} --out run`);
    const network =
      /^\.\/mlp\.ts \(hidden=8, activation=gelu\), [\d,]+ parameters, conditional on 10 classes/;
    assert.match(stderr, network);
  });

testTask("train --model FILE trains the network of a module, with its options", async (place) => {
  await makeRun(place);
  const config = await place.json("run/config.json");
  const sha256 = await place.digest("mlp.ts");
  assert.equal(config.model, `./mlp.ts@sha256:${sha256}:hidden=8,activation=gelu`);
  assert.deepEqual(["filters" in config, "attn" in config, config.conditional], [false, false, true]);
  const names = await place.names("run");
  for (const name of ["report.html", "samples.png", "flow_linear.gif"]) assert.ok(names.includes(name), name);
  const losses = (await place.metrics("run")).flatMap(({ train_loss: loss }) => loss ?? []).map(Number);
  assert.ok(losses.at(-1)! < losses[0], `${losses}`);

  const bytes = await place.read("run", "last.safetensors");
  const { info: { config: stored }, tensors } = decodeCheckpoint(bytes, "last");
  assert.ok(stored.type === "own");
  const { name, options, shape, classes, digest } = stored;
  assert.deepEqual([name, shape, classes, digest], ["./mlp.ts", [1, 12, 12], 10, sha256]);
  assert.deepEqual(options, { hidden: 8, activation: "gelu" });
  assert.deepEqual(tensors.get("inner.weight")!.shape, [8, 145]);

  const { stdout } = await place.succeed("train", "--model ./mlp.ts --help");
  const heading = "Options of mlp.ts, --model ./mlp.ts:key=value,key=value";
  assert.match(
    stdout,
    RegExp(`\n${RegExp.escape(heading)}\n  hidden=N .*\\(default: 16\\)\n  activation=gelu\\|none`),
  );
  // The seed decides the weights, and the options what it computes.
  const digests = ["", " --seed 1", ":activation=none"].map(async (flags, i) => {
    await place.succeed("train", `--model mlp.ts${flags} ${oneStep} --out ${i}`);
    return await place.digest(`${i}`, "last.safetensors");
  });
  assert.equal(new Set(await Promise.all(digests)).size, 3);
});

/** Tasks that use the network of a run. */
const uses: Readonly<Record<string, readonly [task: TaskName, flags: string]>> = {
  sample: ["sample", `--checkpoint run ${sampled}`],
  evaluate: ["evaluate", `run --count 20 --course-images 4 --bits-images 0 --judge none ${oneThread}`],
  resume: ["train", "--resume run --epochs 4 --lr 0.001"],
  repeat: ["train", "--config run --max-steps 1 --out again"],
  "fine-tune": ["train", `--init run ${oneStep} --out tuned`],
};

testTask("no module runs because a run names it, and the line says which to give", async (place) => {
  await makeRun(place);
  const { tensors, metadata } = decodeSafetensors(await place.read("run", "ema.safetensors"), "ema");
  const { digest, ...config } = JSON.parse(metadata.config);
  const store = (path: string, config: object) => {
    const changed = { ...metadata, config: JSON.stringify(config) };
    return Deno.writeFile(place.file(path), encodeSafetensors(tensors, changed));
  };
  const refused = async ([task, flags]: readonly [TaskName, string], words: string) => {
    const { code, stderr } = await place.runProgram(task, flags);
    assert.deepEqual([code, stderr], [1, `ConfigError: Cannot use ${words}\n`]);
  };
  const network = `its network is ./mlp.ts (SHA-256 ${digest.slice(0, 12)}...); give --model ./mlp.ts`;
  await refused(uses.sample, `run/ema.safetensors: ${network}`);
  await refused(uses.resume, `run: ${network}`);
  await place.succeed("report", "run --out report.html");
  const { runs: [{ live }] } = dataIn(await place.text("report.html"));
  assert.match(String(live), /its network is a module, \.\/mlp\.ts, and a page holds only the library/);

  // A checkpoint that a program has saved.
  await store("saved.safetensors", config);
  await place.succeed("sample", `--checkpoint saved.safetensors --model mlp.ts ${sampled}`);
  const drawn = await place.digest("grid.png");
  await place.succeed("sample", `--checkpoint run --model mlp.ts ${sampled}`);
  assert.equal(await place.digest("grid.png"), drawn);
  // A run of version 0.9, which keeps its module.
  await store("run/ema.safetensors", { ...config, name: "mlp.ts", digest: "0".repeat(64) });
  await place.write("run/network.json", { main: "mlp.ts", files: {} });
  const kept =
    "its network is in run/network.json of an earlier version; save its module as a file, and give --model FILE";
  await refused(uses.sample, `run/ema.safetensors: ${kept}`);
  await place.succeed("sample", `${uses.sample[1]} --model mlp.ts`);
});

testTask("a run goes on with its module, wherever that lies, and not with another one", async (place) => {
  await makeRun(place);
  await Deno.mkdir(place.file("moved"));
  for (const file of ["mlp.ts", "flat.ts"]) await Deno.rename(place.file(file), place.file("moved", file));
  for (const [task, flags] of Object.values(uses)) await place.succeed(task, `${flags} --model moved/mlp.ts`);
  for (const run of ["run", "again", "tuned"]) {
    const { model } = await place.json(run, "config.json");
    assert.match(model, /^moved\/mlp\.ts@sha256:\w{64}:hidden=8,activation=gelu$/);
  }
  await writeModule(place, "moved/mlp.ts", mlp() + "// changed\n");
  await storeNetwork(place, "unet", [12, 12]);
  const changed: Readonly<Record<string, readonly [task: TaskName, flags: string, words: string]>> = {
    sample: [...uses.sample, "run/ema.safetensors: it has changed since, or is another network (SHA-256 "],
    resume: [...uses.resume, "run: it has changed since, or is another network (SHA-256 "],
    "a U-Net": ["sample", "unet.safetensors", "unet.safetensors: its network is a U-Net (leave it out)"],
  };
  for (const [task, flags, words] of Object.values(changed)) {
    const says = [`ConfigError: Cannot use --model moved/mlp.ts with ${words}`] as const;
    await assertRefused(place, { task, flags: `${flags} --model moved/mlp.ts`, says });
  }
  const repeated = "--config run --model moved/mlp.ts:hidden=4 --max-steps 1 --out b";
  const { stderr } = await place.succeed("train", repeated);
  assert.match(stderr, /^moved\/mlp\.ts has changed since run: this run trains it as it is now$/m);
  assert.match(stderr, /^moved\/mlp\.ts \(hidden=4, activation=gelu\)/m);
});

testTask("a run keeps its module as it was, and goes on with the copy after an edit", async (place) => {
  await makeRun(place);
  const sha256 = await place.digest("mlp.ts");
  assert.equal(await place.digest("run", "network.ts"), sha256);
  await place.succeed("sample", `run --model mlp.ts ${sampled}`);
  const drawn = await place.digest("grid.png");
  await writeModule(place, "mlp.ts", mlp() + "// changed\n");
  const { code, stderr } = await place.run("sample", `run --model mlp.ts ${sampled}`);
  assert.equal(code, 1);
  assert.match(
    stderr,
    /; give --model run\/network\.ts, which is as it was, or to go on with it, train --init /,
  );

  // It imports the files that lie beside the original.
  const copy = "--model run/network.ts";
  await place.succeed("sample", `run ${copy} ${sampled}`);
  assert.equal(await place.digest("grid.png"), drawn);
  for (const epochs of [4, 5]) { // the run still names the original, so that its copy finds them again
    await place.succeed("train", `--resume run --epochs ${epochs} --lr 0.001 ${copy}`);
  }
  const { model } = await place.json("run", "config.json");
  assert.equal(model, `./mlp.ts@sha256:${sha256}:hidden=8,activation=gelu`);
  await place.succeed("train", `--model run/network.ts:hidden=4 ${oneStep} --out other`);
  assert.equal(await place.digest("other", "network.ts"), sha256);
  await place.succeed("sample", `other --model other/network.ts ${sampled}`);
});

testTask("labels that a network does not take are left out, or refused if required", async (place) => {
  const ignoring = mlp().replace("this.labels ? this.labels.forward(h, condition) : h", "h")
    .replace("classes > 0 ? new", "classes < 0 ? new");
  await writeModule(place, "plain.ts", ignoring);
  const flags = `--model plain.ts ${oneStep} --out plain`;
  const says = ["ConfigError: Cannot use --conditional: the network plain.ts takes no labels"] as const;
  await assertRefused(place, { task: "train", flags: `${flags} --conditional`, says });
  const { stderr } = await place.succeed("train", flags);
  assert.match(stderr, /Training without labels: the network plain\.ts takes none/);
});

/** Modules that cannot be trained, by what the line says after `Cannot use bad.ts: `. */
const bad: Readonly<Record<string, string>> = {
  "TypeError: boo (bad.ts:1:7)": "throw new TypeError('boo');",
  "SyntaxError: Unexpected token `=`": "export const = 5;",
  "SyntaxError: The requested module '": `import { zebra } from "${library}"; zebra;`,
  "TypeError: Module not found ": "import './nowhere.ts';",
  "it exports Net and no default (expected `export default`": "export class Net {}",
  "its function returned a promise (expected a network": "export default async () => {};",
  "it made an object of type Object (expected a Module": "export default () => ({ velocity: (x) => x });",
  "it made a Module without velocity()": mlp({ velocity: "speed() {}" }),
  "its velocity: TypeError: Cannot read properties of undefined (reading 'b') (bad.ts:": mlp({
    velocity: "velocity(x: Tensor): Tensor {\n return (x as unknown as { a: { b: Tensor } }).a.b; }",
  }),
  "velocity() of x f32[2, 1, 12, 12] returned f32[2, 144] (expected f32[2, 1, 12, 12])": mlp().replace(
    ", x.shape);",
    ", [x.shape[0], 144]);",
  ),
  'its velocity does not depend on "spare.weight", f32[3, 2]': mlp({
    body: "(this as unknown as { spare: Linear }).spare = new Linear(2, 3);",
  }),
  "its velocity does not depend on t": mlp().replace(
    "reshape(t, [t.size, 1])",
    "reshape(x, [x.shape[0], 144])",
  ).replace("size + 1", "2 * size"),
  "its network has no parameters":
    `import { Module } from "${library}"; export default class extends Module { velocity(x, t) { return x; } }`,
  "the gradient of its velocity: Error: Cannot take gradients through step: no rule leads from its output y":
    mlp().replace("gelu(labelled)", "step(labelled)") + `
import { defineOp } from "${library}";
const step = defineOp({
  name: "step",
  signature: "x[S...] -> y[S...]",
  wgsl: "fn kernel(i: u32) { y[i] = f32(x[i] > 0.0); }",
  reference({ x, y }) { for (let i = 0; i < y.length; i++) y[i] = x[i] > 0 ? 1 : 0; },
  samples: [],
});
`,
  "its option blocks is Map(0) {} (expected a default": mlp({ options: "{ blocks: new Map() }" }),
  "it cannot have an option shape": mlp({ options: "{ shape: 5 }" }),
};

testTask("a module that cannot be trained is refused before anything is written", async (place) => {
  const flags = `--model bad.ts --data data --max-steps 2 ${oneThread}`;
  for (const [says, text] of Object.entries(bad)) {
    await writeModule(place, "bad.ts", text);
    await assertRefused(place, { task: "train", flags, says: [`ConfigError: Cannot use bad.ts: ${says}`] });
  }
});

testTask("a mistake in a module is named with the line of the module", async (place) => {
  const flags = `--model bad.ts --data data --max-steps 2 ${oneThread}`;
  const said = async (text: string) => {
    await writeModule(place, "bad.ts", text);
    return (await place.run("train", flags)).stderr;
  };
  assert.match(await said(`import "./absent.ts";\n`), /^ConfigError: .*absent\.ts.* \(bad\.ts:1:\d+\)\n$/);
  const { href } = new URL("../../../mod.ts", import.meta.url);
  const misfit = `import { add, Linear, Module, tensor } from "${href}";
export default class extends Module {
  layer = new Linear(2, 2);
  velocity = (x) => add(x, tensor(new Float32Array(31)));
}
`;
  assert.match(await said(misfit), /^ConfigError: .*: Cannot broadcast .* \(bad\.ts:4:\d+\)\n$/);
});

const wrong = "ConfigError: Cannot use";
testMistakes("train", {
  "--resize 8 8":
    'ConfigError: Cannot use "8": only flags are expected (numbers of a list have commas between them: --resize 8,8)',
  "--model mlp.ts --filters 8":
    "ConfigError: --filters has no effect without --model residual or base; remove it",
  "--model mlp.ts:hidden=3.5": `${wrong} hidden=3.5 of mlp.ts: expected a whole number of at least 1`,
  "--model=mlp.ts:activation=relu": `${wrong} activation=relu of mlp.ts: expected gelu or none`,
  "--model mlp.ts --hidden 3": "ConfigError: Unknown flag --hidden ",
  "--model mlp.ts:hiden=3":
    `${wrong} mlp.ts: it has no option hiden (did you mean hidden?); it has hidden, activation`,
  "--model mlp.py": `${wrong} --model "mlp.py": expected residual, base or the file of a module`,
  "--model nowhere.ts": `${wrong} nowhere.ts: there is no such file`,
}, writeModule);

Deno.test("options of a network are read as their defaults say", () => {
  const numbers = { hidden: 256, drop: 0, widths: [16, 32] };
  const options = { ...numbers, residual: true, act: ["gelu", "relu"], title: "plain" };
  const rows = optionRows({ ...options, depth: { default: 2, doc: "blocks" } }, "mine.ts");
  assert.equal(rows.depth.doc, "blocks");
  const chosen = (given: Record<string, string>) =>
    chosenOptions({ kind: "module", file: "mine.ts", options: given }, rows);
  assert.deepEqual(chosen({}), { ...options, act: "gelu", depth: 2 });
  const texts = { drop: "0.5", residual: "false", act: "relu", widths: "8,4", title: "x y", depth: "3" };
  const values = { drop: 0.5, residual: false, act: "relu", widths: [8, 4], title: "x y", depth: 3 };
  assert.deepEqual(chosen(texts), { ...options, ...values });
  const refused = { hidden: "0", drop: "much", residual: "maybe", act: "tanh", widths: "8,x", depth: "1.5" };
  for (const [name, text] of Object.entries(refused)) {
    assert.throws(() => chosen({ [name]: text }), { name: "ConfigError" }, name);
  }
});

testTask("examples/dit.ts trains, resumes to the same bits, and is evaluated", async (place) => {
  const module = fileURLToPath(new URL("../../../examples/dit.ts", import.meta.url));
  const run = bareOwnRun.replace(" --epochs 3", "").replace("--log-every 3", "--log-every 1");
  const flags = `--model ${module}:width=16,depth=1,heads=2 --schedule constant --warm-up 0 ${run}`;
  const { stderr } = await place.succeed("train", `${flags} --max-steps 16 --out whole`);
  assert.match(stderr, new RegExp(`^${module} \\(`));
  await place.succeed("train", `${flags} --max-steps 5 --out cut`);
  await place.succeed("train", `--resume cut --max-steps 16 --model ${module}`);
  const tensors = async (run: string) => (await place.state(run)).tensors;
  assert.deepEqual(await tensors("cut"), await tensors("whole"));
  const losses = (await place.metrics("whole")).flatMap(({ train_loss: loss }) => loss ?? []).map(Number);
  assert.ok(losses.at(-1)! < 0.95 * losses[0], `${losses}`);
  const evaluation = `--count 20 --course-images 4 --bits-images 0 --judge none ${oneThread}`;
  await place.succeed("evaluate", `whole --model ${module} ${evaluation}`);
});

testTask("study trains the network of the docs next to a U-Net", async (place) => {
  const page = await Deno.readTextFile(new URL("../../../docs/own_networks.md", import.meta.url));
  const [, module] = /```ts\n(.*?)```/s.exec(page)!;
  await place.write("mine.ts", module.replaceAll("../mod.ts", library));
  const grid = { model: ["residual", "mine.ts:hidden=8"] };
  await makePlan(place, { seeds: [1], evaluation: { ...tinyPlan.evaluation }, grid });
  await place.succeed("study", `plan.json --out study ${oneThread}`);
  const { model } = await place.json("study/cells/mine-hidden-8-s1/config.json");
  assert.match(model, /^mine\.ts@sha256:\w{64}:hidden=8,activation=gelu$/);
  assert.match(await place.text("study/study.md"), /mine\.ts:hidden=8 .* 2,504 /);
});
