import assert from "node:assert/strict";
import { join } from "node:path";
import { pictureName } from "../experiments/draw/trajectory_picture.ts";
import { reportPath } from "../experiments/report/write_report.ts";
import { animateTask } from "../experiments/animate.ts";
import { judging } from "../experiments/judge.ts";
import { morphing } from "../experiments/morph.ts";
import { sampling } from "../experiments/sample.ts";
import { withFolder } from "./folder.ts";
import { testNeeding } from "./permissions.ts";

testNeeding(
  { read: true, write: true, run: true },
  "git ignores what tasks and examples write into a checkout, and no file of it",
  async () => {
    const pictures = ["", "--format png", "--format apng"].map((flags) =>
      pictureName(animateTask.parse(flags.split(" ").filter(Boolean)))
    );
    const written = [
      reportPath(["runs/a", "runs/b"]),
      sampling.rows.out.default!,
      judging.rows.out.default!,
      morphing.rows.out.default!,
      "digits.png",
      "runs/a/report.html",
      ...pictures,
    ];
    const kept = [
      "docs/report.png",
      "docs/flow_linear.gif",
      "checkpoints/judge_mnist.safetensors",
      "tests/golden/grid.png",
    ];
    await withFolder(async (folder) => {
      await Deno.copyFile(new URL("../.gitignore", import.meta.url), join(folder, ".gitignore"));
      const git = async (...args: string[]) => {
        const { stdout } = await new Deno.Command("git", { args, cwd: folder, stderr: "null" }).output();
        return new TextDecoder().decode(stdout).trim().split("\n");
      };
      await git("init");
      assert.deepEqual(await git("check-ignore", ...written, ...kept), written);
    });
  },
);
