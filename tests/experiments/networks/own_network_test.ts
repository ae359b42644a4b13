import assert from "node:assert/strict";
import { decodeCheckpoint, decodeSafetensors, encodeSafetensors } from "../../../models/mod.ts";
import { assertRefused } from "../refusals.ts";
import { madeOnce, makePlace, oneThread, testTask, type Workplace } from "../cli.ts";
import { bareOwnRun, library, mlp, ownRun, writeModule } from "./modules.ts";
import { dataIn } from "../../viz/report/page_content.ts";

const sampled = `${oneThread} --count 10 --out grid.png`;

/** A trained run in `run`. */
async function train(place: Workplace): Promise<void> {
  await writeModule(place);
  const { stderr } = await place.succeed("train", `--model ./mlp.ts --hidden 8 ${ownRun} --out run`);
  assert.match(
    stderr,
    /^\.\/mlp\.ts \(hidden=8, activation=gelu\), [\d,]+ parameters, conditional on 10 classes/,
  );
}
/** Moves the user's settings away, as on another machine, and leaves a list of trusted networks among the runs. */
async function moveTo(place: Workplace, machine: string): Promise<void> {
  const list = await place.read(".config/flow-matching/networks.json");
  await Deno.mkdir(place.file("runs"), { recursive: true });
  await Deno.writeFile(place.file("runs/.networks.json"), list);
  await Deno.rename(place.file(".config"), place.file(machine));
}
const makeRun = (place: Workplace) => madeOnce(place, "run", train);

testTask(
  "train --model FILE trains the network that a module exports, with its options as flags",
  async (place) => {
    await makeRun(place);
    const config = JSON.parse(await Deno.readTextFile(place.file("run", "config.json")));
    assert.equal(config.model, "./mlp.ts:hidden=8,activation=gelu");
    assert.deepEqual(["filters" in config, "attn" in config, config.conditional], [false, false, true]);
    const names = await place.names("run");
    for (const name of ["network.json", "report.html", "samples.png", "flow_linear.gif"]) {
      assert.ok(
        names.includes(name),
        name,
      );
    }
    const losses = (await place.metrics("run")).flatMap(({ train_loss }) =>
      train_loss === undefined ? [] : [Number(train_loss)]
    );
    assert.ok(losses.at(-1)! < losses[0], `${losses}`);

    const { info: { config: stored }, tensors } = decodeCheckpoint(
      await place.read("run", "last.safetensors"),
      "last",
    );
    assert.ok(stored.type === "own");
    const { name, options, shape, classes, digest } = stored;
    assert.deepEqual({ name, options, shape, classes }, {
      name: "mlp.ts",
      options: { hidden: 8, activation: "gelu" },
      shape: [1, 12, 12],
      classes: 10,
    });
    assert.match(digest!, /^[0-9a-f]{64}$/);
    assert.deepEqual(tensors.get("inner.weight")!.shape, [8, 145]);

    const { stdout } = await place.succeed("train", "--model ./mlp.ts --help");
    assert.match(
      stdout,
      /\nOptions of mlp\.ts\n {2}--hidden N .*\(default: 16\)\n {2}--activation gelu\|none/,
    );
    assert.doesNotMatch(stdout, /--filters/);
  },
);

testTask(
  "the seed decides the weights of a custom network, and its options what it computes",
  async (place) => {
    await writeModule(place);
    const first = async (flags: string, out: string) => {
      await place.succeed(
        "train",
        `--model mlp.ts ${bareOwnRun.replace("--epochs 3", "--max-steps 1")} ${flags} --out ${out}`,
      );
      return await place.digest(out, "last.safetensors");
    };
    const [same, again] = [await first("", "a"), await first("", "b")];
    assert.equal(again, same);
    assert.notEqual(await first("--seed 1", "c"), same);
    assert.notEqual(await first("--activation none", "d"), same);
  },
);

testTask("a run has a copy of its network's program, for which the module is not needed", async (place) => {
  await makeRun(place);
  await Deno.remove(place.file("mlp.ts"));
  await place.succeed("sample", `--checkpoint run ${sampled}`);
  await place.succeed("report", "run --out report.html");
});

testTask(
  "a checkpoint that a program has saved is drawn by the module that the user names",
  async (place) => {
    await makeRun(place);
    const { tensors, metadata } = decodeSafetensors(await place.read("run", "ema.safetensors"), "ema");
    const { digest: _, ...config } = JSON.parse(metadata.config);
    const saved = encodeSafetensors(tensors, { ...metadata, config: JSON.stringify(config) });
    await Deno.writeFile(place.file("saved.safetensors"), saved);
    await place.succeed("sample", `--checkpoint saved.safetensors --model mlp.ts ${sampled}`);
    const drawn = await place.digest("grid.png");
    await place.succeed("sample", `--checkpoint run ${sampled}`);
    assert.equal(await place.digest("grid.png"), drawn);
    await assertRefused(place, {
      task: "sample",
      flags: `--checkpoint saved.safetensors ${sampled}`,
      says: [
        "ConfigError: Cannot load saved.safetensors: its network is mlp.ts, and there is no such program beside it",
      ],
    });
  },
);

testTask("no task runs a network's program from elsewhere before the user has named it", async (place) => {
  await makeRun(place);
  // Programs: one that has run a network would run it again.
  const sampling = `--checkpoint run ${sampled}`;
  await moveTo(place, "another_machine"); // with all that lies among the runs
  const network = place.file("run", "network.json");
  const text = await Deno.readTextFile(network);
  await Deno.writeTextFile(network, text.replace("super();", "super(); console.error('ran');"));
  const changed = await place.run("sample", `${sampling} --model run/network.json`);
  assert.match(
    changed.stderr,
    /^ConfigError: Cannot use --model run\/network.json with run\/ema.safetensors: the checkpoint has another/,
  );
  const other =
    /^ConfigError: Cannot load run\/ema.safetensors: its network is mlp.ts with the digest \w{12}/;
  assert.match((await place.runProgram("sample", sampling)).stderr, other);
  await Deno.writeTextFile(network, text);
  for (const task of ["sample", "train"] as const) {
    const flags = task === "train" ? "--resume run --epochs 6 --lr 0.001" : sampling;
    const { code, stderr } = await place.runProgram(task, flags);
    assert.equal(code, 1);
    assert.match(stderr, /^ConfigError: Cannot run the network mlp.ts: you have not approved its program/);
  }
  const { stderr } = await place.runProgram("report", "run --out report.html");
  assert.match(stderr, /^Done/);
  const { runs: [{ live }] } = dataIn(await Deno.readTextFile(place.file("report.html")));
  assert.notEqual(typeof live, "object");
  await place.succeed("sample", `${sampling} --model run/network.json`);
  await Deno.mkdir(place.file("run/weights"), { recursive: true });
  await Deno.copyFile(place.file("run/ema.safetensors"), place.file("run/weights/copy.safetensors"));
  const copied = await place.runProgram("sample", `--checkpoint run/weights/copy.safetensors ${sampled}`);
  assert.equal(copied.code, 0, `it is named once and for all: ${copied.stderr}`);
  await moveTo(place, "third_machine");
  await place.succeed("train", "--resume run --model run/network.json --epochs 4 --lr 0.001");
});

testTask(
  "a module that changed since is another network, and the run continues with its copy",
  async (place) => {
    await makeRun(place);
    await writeModule(place, "mlp.ts", mlp() + "// changed\n");
    const flags = `--checkpoint run --model mlp.ts ${sampled}`;
    await assertRefused(place, {
      task: "sample",
      flags,
      says: ["ConfigError: Cannot use --model mlp.ts with run/ema.safetensors"],
    });
    await assertRefused(place, {
      task: "train",
      flags: "--resume run --model ./mlp.ts",
      says: ["ConfigError: Cannot resume run with ./mlp.ts: it has changed since the run began"],
    });
    const longer = await place.run("train", "--resume run --epochs 6 --lr 0.001");
    assert.equal(longer.code, 0, longer.stderr);
    await place.succeed(
      "train",
      `--model mlp.ts ${bareOwnRun.replace("--epochs 3", "--max-steps 1")} --out other`,
    );
    const { networks } = JSON.parse(
      await Deno.readTextFile(place.file(".config/flow-matching/networks.json")),
    );
    const [names, digests] = ["name", "digest"].map((field) =>
      networks.map((network: Record<string, string>) => network[field])
    );
    assert.deepEqual([names, new Set(digests).size], [["mlp.ts", "mlp.ts"], 2], "both are named");
  },
);

testTask(
  "the list of named networks is in the home folder, and a task without one says so",
  async (place) => {
    await writeModule(place);
    const train = (out: string, home: string) =>
      place.succeed(
        "train",
        `--model mlp.ts ${bareOwnRun.replace("--epochs 3", "--max-steps 1")} --out ${out}`,
        {
          XDG_CONFIG_HOME: "",
          HOME: home,
        },
      );
    const { stderr } = await train("a", "");
    assert.match(stderr, /^Other tasks will ask for --model mlp.ts again: HOME is not set/m);
    await train("b", place.file("home"));
    assert.match(await Deno.readTextFile(place.file("home/.config/flow-matching/networks.json")), /"mlp.ts"/);
  },
);

testTask("labels that a network does not take are left out, and required ones are refused", async (place) => {
  const ignoring = mlp().replace("this.labels ? this.labels.forward(h, condition) : h", "h")
    .replace("classes > 0 ? new", "classes < 0 ? new");
  await writeModule(place, "plain.ts", ignoring);
  const flags = `--model plain.ts ${bareOwnRun.replace("--epochs 3", "--max-steps 2")} --out plain`;
  await assertRefused(place, {
    task: "train",
    flags: `${flags} --conditional`,
    says: ["ConfigError: Cannot use --conditional: the network plain.ts takes no labels"],
  });
  const { stderr } = await place.succeed("train", flags);
  assert.match(stderr, /Training without labels: the network plain\.ts takes none/);
});

/** Modules that cannot be trained, and what the line says after `Cannot use bad.ts: `. */
const bad: Readonly<Record<string, readonly [text: string, says: string]>> = {
  "throws": ["throw new TypeError('boo');", "TypeError: boo (bad.ts:1:7)"],
  "is not TypeScript": ["export const = 5;", "TypeError: Unexpected token `=`"],
  "imports what the library lacks": [
    `import { zebra } from "${library}"; zebra;`,
    "SyntaxError: The requested module 'flow-matching' does not provide an export named 'zebra'",
  ],
  "imports a missing file": ["import './nowhere.ts';", "it imports ./nowhere.ts: no such file"],
  "imports itself": ["import './bad.ts';", "bad.ts and bad.ts import each other"],
  "exports nothing": ["export {};", "it exports nothing (expected `export default`"],
  "exports no default": ["export class Net {}", "it exports Net and no default (expected `export default`"],
  "exports a number": ["export default 5;", "it exports 5 by default (expected `export default`"],
  "returns a promise": [
    "export default async () => {};",
    "its function returned a promise (expected a network",
  ],
  "returns an object": [
    "export default () => ({ velocity: (x) => x });",
    "it made an object of type Object (expected a Module",
  ],
  "has no velocity": [mlp({ velocity: "speed() {}" }), "it made a Module without velocity()"],
  "throws in its constructor": [
    mlp({ body: "throw new Error('no');" }),
    "making the network: Error: no (bad.ts:",
  ],
  "throws in velocity": [
    mlp({ velocity: "velocity(x: Tensor): Tensor {\n return (x as unknown as { a: { b: Tensor } }).a.b; }" }),
    "its velocity: TypeError: Cannot read properties of undefined (reading 'b') (bad.ts:",
  ],
  "reads a value in velocity": [
    mlp({ velocity: "velocity(x: Tensor): Tensor {\n x.read().then(console.log); return x; }" }),
    "its velocity: Cannot read f32[2, 1, 12, 12] inside a network or step that is being recorded",
  ],
  "changes the shape": [
    mlp().replace(", x.shape);", ", [x.shape[0], 144]);"),
    "velocity() of x f32[2, 1, 12, 12] returned f32[2, 144] (expected f32[2, 1, 12, 12])",
  ],
  "is asynchronous": [
    mlp().replace("velocity(x", "async velocity(x").replace(
      "): Tensor {\n    const h",
      "): Promise<Tensor> {\n    const h",
    ),
    "velocity() of x f32[2, 1, 12, 12] returned a promise",
  ],
  "leaves a layer out": [
    mlp({ body: "(this as unknown as { spare: Linear }).spare = new Linear(2, 3);" }),
    'its velocity does not depend on "spare.weight", f32[3, 2]',
  ],
  "ignores t": [
    mlp().replace("reshape(t, [t.size, 1])", "reshape(x, [x.shape[0], 144])").replace("size + 1", "2 * size"),
    "its velocity does not depend on t",
  ],
  "has no parameters": [
    `import { Module } from "${library}"; export default class extends Module { velocity(x, t) { return x; } }`,
    "its network has no parameters",
  ],
  "has an op without gradient": [
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
    "the gradient of its velocity: Error: Cannot take gradients through step: no rule leads from its output y",
  ],
  "has an option of an unsupported kind": [
    mlp({ options: "{ blocks: new Map() }" }),
    "its option blocks is Map(0) {} (expected a default",
  ],
  "has an option with the name of a flag": [
    mlp({ options: "{ batchSize: 5 }" }),
    "its option batchSize has the flag --batch-size of the task",
  ],
  "has an option that throws": [
    mlp({ options: "{ get hidden() { throw new Error('boo'); } }" }),
    "its options: Error: boo (bad.ts:",
  ],
  "has an option that every network gets": [
    mlp({ options: "{ shape: 5 }" }),
    "it cannot have an option shape",
  ],
};

testTask("a module that cannot be trained is refused in one line, before anything is written", async () => {
  for (const [mistake, [text, says]] of Object.entries(bad)) {
    await using place = await makePlace();
    await writeModule(place, "bad.ts", text);
    const flags = `--model bad.ts --data data --max-steps 2 ${oneThread}`;
    await assertRefused(place, { task: "train", flags, says: [`ConfigError: Cannot use bad.ts: ${says}`] })
      .catch((error) => {
        throw new Error(`A module that ${mistake}: ${error.message}`, { cause: error });
      });
  }
});

testTask("train refuses options of a network that do not fit in one line", async (place) => {
  await writeModule(place);
  const mistakes: Readonly<Record<string, string>> = {
    "--model mlp.ts --filters 8": "Unknown flag --filters",
    "--model mlp.ts --hidden 3.5": 'Cannot use --hidden "3.5": expected a whole number of at least 1',
    "--model mlp.ts --activation relu": 'Cannot use --activation "relu": expected gelu or none',
    "--model=mlp.ts --hidden 3.5": 'Cannot use --hidden "3.5": expected a whole number of at least 1',
    "--model mlp.ts --hiden 3": "Unknown flag --hiden (did you mean --hidden?)",
    "--model mlp.ts:hiden=3":
      "Cannot use mlp.ts: it has no option hiden (did you mean hidden?); it has hidden, activation",
    "--model mlp.ts:hidden=3 --hidden 4": "Cannot use --hidden: --model mlp.ts:hidden=3 sets it",
    "--model mlp.py": 'Cannot use --model "mlp.py": expected residual, base or the file of a module',
    "--model nowhere.ts": "Cannot use nowhere.ts: no such file",
  };
  for (const [flags, says] of Object.entries(mistakes)) {
    await assertRefused(place, {
      task: "train",
      flags: `${flags} ${oneThread}`,
      says: [`ConfigError: ${says}`],
    });
  }
});
