import assert from "node:assert/strict";
import { join } from "node:path";
import { submit } from "../../../../experiments/study/launch/slurm.ts";
import { withFolder } from "../../../folder.ts";
import { testNeeding } from "../../../permissions.ts";

/** Defines a test with a program called sbatch, and the environment that finds it. */
function testWithSbatch(
  name: string,
  body: string | undefined,
  test: (env: Record<string, string>, folder: string) => Promise<void>,
): void {
  testNeeding({ read: true, write: true, run: true }, name, () =>
    withFolder(async (folder) => {
      if (body !== undefined) {
        await Deno.writeTextFile(join(folder, "sbatch"), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
      }
      await test({ PATH: folder, FOLDER: folder }, folder);
    }));
}

for (const answer of ["1234", "1234;cluster"]) {
  testWithSbatch(
    `submit() gives sbatch the script and reads the id from ${answer}`,
    `echo "$@" >"$FOLDER/words"; while read -r line; do echo "$line" >>"$FOLDER/script"; done; echo "${answer}"`,
    async (env, folder) => {
      assert.equal(await submit("#!/bin/bash\nhostname\n", env), "1234");
      assert.equal(await Deno.readTextFile(join(folder, "words")), "--parsable\n");
      assert.equal(await Deno.readTextFile(join(folder, "script")), "#!/bin/bash\nhostname\n");
    },
  );
}

const refusal =
  `echo "sbatch: error: Invalid account" >&2; echo "sbatch: error: Batch job submission failed" >&2; exit 1`;

testWithSbatch(
  "submit() says in one line why sbatch refuses, also what it does not read",
  refusal,
  async (env) => {
    await assert.rejects(submit("#!/bin/bash\n" + "# long\n".repeat(100_000), env), {
      name: "SlurmError",
      message: "Cannot submit the study: sbatch refuses: Invalid account; Batch job submission failed",
    });
  },
);

testWithSbatch("submit() takes no answer that is not an id", "echo Submitted batch job 12", async (env) => {
  await assert.rejects(submit("#!/bin/bash\n", env), {
    message: 'Cannot submit the study: sbatch answers "Submitted batch job 12" (expected the id of a job)',
  });
});

testWithSbatch("submit() says what to do where there is no sbatch", undefined, async (env) => {
  await assert.rejects(submit("#!/bin/bash\n", env), {
    message:
      "Cannot submit the study: there is no sbatch here (expected the login node of a Slurm cluster; " +
      "--launcher local runs the study on this machine, --dry-run prints the batch script)",
  });
});
