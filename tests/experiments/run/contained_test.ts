import assert from "node:assert/strict";
import { join } from "node:path";
import {
  findContained,
  makeContainedFolder,
  openContained,
  readFile,
  readIfThere,
  readJson,
} from "../../../experiments/run/contained.ts";
import { isLocked, tryLockRun } from "../../../experiments/run/run_lock.ts";
import { withFolder } from "../../folder.ts";
import { replacing } from "../../replacing.ts";
import { testNeeding } from "../../permissions.ts";

/** A run folder with a pipe that nobody writes to, next to a file outside of it. */
function testRun(name: string, test: (run: string, outside: string) => Promise<void>): void {
  testNeeding({ read: true, write: true, run: true }, name, () =>
    withFolder(async (folder) => {
      const [run, outside] = [join(folder, "run"), join(folder, "outside.json")];
      await Deno.mkdir(join(run, "flow"), { recursive: true });
      await Deno.writeTextFile(outside, '{"secret":1}');
      await Deno.writeTextFile(join(run, "config.json"), '{"own":1}');
      await test(run, outside);
    }));
}

const leadsOut = {
  name: "RunError",
  message: /^Cannot read .*: it leads out of the folder .*run \(expected a file in it\)$/,
};
const noFile = {
  name: "RunError",
  message: /^Cannot read .*: it is a (pipe or a device|folder) \(expected a file\)$/,
};

testRun(
  "findContained() follows only links that stay inside the folder",
  async (run, outside) => {
    await Deno.symlink("config.json", join(run, "link.json"));
    assert.deepEqual(await readJson(join(run, "link.json")), { own: 1 });
    await Deno.symlink(run, `${run}-elsewhere`); // the folder itself may be a link
    assert.deepEqual(await readJson(join(`${run}-elsewhere`, "config.json")), { own: 1 });

    for (const target of [outside, "../outside.json", "/etc/passwd"]) {
      await Deno.symlink(target, join(run, "out.json"));
      await assert.rejects(readJson(join(run, "out.json")), leadsOut);
      await Deno.remove(join(run, "out.json"));
    }
    await Deno.remove(join(run, "flow"));
    await Deno.symlink("..", join(run, "flow"));
    for (const path of ["../outside.json", "flow/outside.json"]) {
      await assert.rejects(readFile(join(run, path), run), leadsOut);
    }
    await Deno.symlink("nowhere", join(run, "broken.json"));
    assert.equal(await readIfThere(join(run, "broken.json")), undefined);
    assert.equal(await readIfThere(join(run, "config.json", "below")), undefined);
  },
);

testRun("openContained() refuses pipes, devices and folders without blocking", async (run) => {
  await new Deno.Command("mkfifo", { args: [join(run, "pipe")] }).output();
  await Deno.symlink("pipe", join(run, "link to pipe"));
  await Deno.symlink("/dev/zero", join(run, "zeros"));
  for (const name of ["pipe", "link to pipe", "flow"]) {
    await assert.rejects(openContained(join(run, name)), noFile);
    assert.throws(() => findContained(join(run, name)), noFile);
  }
  await assert.rejects(openContained(join(run, "zeros")), leadsOut);
});

testRun(
  "openContained() refuses a link that takes the file's place before it is opened",
  async (run, outside) => {
    const path = join(run, "config.json");
    const { open } = Deno;
    using _ = replacing([Deno, {
      open: async (...args: Parameters<typeof open>) => {
        await Deno.remove(path);
        await Deno.symlink(outside, path);
        return await open(...args);
      },
    }]);
    await assert.rejects(openContained(path), leadsOut);
  },
);

testRun(
  "tryLockRun() locks the file at the path, even if the folder is recreated in the meantime",
  async (run) => {
    const { lock: original } = Deno.FsFile.prototype;
    Deno.FsFile.prototype.lock = function (exclusive) {
      Deno.FsFile.prototype.lock = original;
      Deno.removeSync(run, { recursive: true });
      Deno.mkdirSync(run);
      return original.call(this, exclusive);
    };
    using lock = await tryLockRun(run);
    assert.ok(lock);
    assert.equal(await isLocked(run), true);
  },
);

testRun("tryLockRun() and isLocked() refuse a link or a pipe as lock", async (run, outside) => {
  const refused = {
    name: "RunError",
    message: /^Cannot lock .*run\/\.lock\.1: it is not a file; remove it$/,
  };
  await Deno.symlink(`${outside}-made`, join(run, ".lock.1"));
  await assert.rejects(tryLockRun(run), refused);
  await assert.rejects(Deno.stat(`${outside}-made`), Deno.errors.NotFound);
  await Deno.remove(join(run, ".lock.1"));
  await new Deno.Command("mkfifo", { args: [join(run, ".lock.1")] }).output();
  await assert.rejects(tryLockRun(run), refused);
  await assert.rejects(isLocked(run), refused);
});

testRun("makeContainedFolder() never creates a folder outside the run", async (run) => {
  await makeContainedFolder(run, "samples");
  await makeContainedFolder(run, "flow");
  await Deno.remove(join(run, "samples"));
  await Deno.symlink("..", join(run, "samples"));
  await assert.rejects(makeContainedFolder(run, "samples"), {
    name: "RunError",
    message: /^Cannot write to .*samples: it is a link \(expected a folder\)$/,
  });
});
