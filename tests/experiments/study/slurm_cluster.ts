/** A real Slurm cluster of one node, this machine, for the time of a test. */

import assert from "node:assert/strict";
import { userInfo } from "node:os";
import { join } from "node:path";
import { freePort } from "../../free_port.ts";
import { findOrInstall, problemOf } from "../../system_packages.ts";
import { testTask, type Workplace } from "../cli.ts";
import { gresConf, slurmConf } from "./slurm_conf.ts";

const startMs = 60_000;
const endMs = 10_000;
const pauseMs = 200;

/** Debian keeps what only administrators start off a user's PATH. */
const path = `${Deno.env.get("PATH") ?? ""}:/usr/sbin`;

/** What must run: the daemons, and a command for users. */
const programs = ["munged", "slurmctld", "slurmd", "sbatch"];

const found = await findOrInstall({
  name: "Slurm",
  packages: ["slurm-wlm", "munge"],
  async find() {
    // Without a configuration most of them do nothing, not even tell their version.
    const all = programs.map((program) => `command -v ${program}`).join(" && ");
    return await problemOf(["env", `PATH=${path}`, "sh", "-c", all]) === undefined ? path : undefined;
  },
});

/** Why there is no Slurm here; undefined where there is. */
const noSlurm = typeof found === "string" ? undefined : found.reason;

/**
 * Defines a test in a workplace of its own, with a cluster that nothing else uses.
 *
 * @param otherReason why the test cannot run here whether there is Slurm or not, if it cannot
 */
export function testOnSlurm(
  name: string,
  test: (place: Workplace, cluster: SlurmCluster) => Promise<void>,
  otherReason?: string,
): void {
  testTask(name, async (place) => {
    await using cluster = await SlurmCluster.start();
    await test(place, cluster);
  }, otherReason ?? noSlurm);
}

/** A task of a job array in the queue. */
export interface Queued {
  readonly job: string;
  readonly name: string;
  /** Its index in the array; undefined for a job that is no array. */
  readonly index?: number;
  /** Such as RUNNING. */
  readonly state: string;
}

/** Waits until something holds. */
export async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!await condition()) await pause();
}

/** Daemons of Slurm, children of this program. */
export class SlurmCluster implements AsyncDisposable {
  readonly #daemons: Deno.ChildProcess[] = [];
  #ended = 0;

  private constructor(readonly folder: string) {}

  /** Starts a cluster with two processors, and waits until its node takes jobs. */
  static async start(): Promise<SlurmCluster> {
    const cluster = new SlurmCluster(await Deno.makeTempDir({ prefix: "flow-slurm-" }));
    try {
      await cluster.#start();
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** What the environment of a program must have that submits to this cluster. */
  get env(): Record<string, string> {
    return { SLURM_CONF: join(this.folder, "slurm.conf"), PATH: path };
  }

  /** Runs a command of Slurm, which must succeed; gives what it prints. */
  async command(program: string, ...args: string[]): Promise<string> {
    const options = { args, env: this.env, stdin: "null", stdout: "piped", stderr: "piped" } as const;
    const { success, stdout, stderr } = await new Deno.Command(program, options).output();
    const decoder = new TextDecoder();
    assert.ok(success, `${program} ${args.join(" ")}: ${decoder.decode(stderr)}`);
    return decoder.decode(stdout).trim();
  }

  /** What waits or runs, a line for each task of an array. */
  async queue(): Promise<Queued[]> {
    const text = await this.command("squeue", "--noheader", "--array", "--sort=i", "--format=%F %K %T %j");
    return text.split("\n").filter((line) => line !== "").map((line) => {
      const [job, index, state, ...name] = line.split(" ");
      return { job, name: name.join(" "), state, ...index !== "N/A" && { index: Number(index) } };
    });
  }

  /** Waits until nothing waits or runs. */
  async idle(): Promise<void> {
    await until(async () => (await this.queue()).length === 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#daemons.length > 0 && this.#ended === 0) {
      await this.command("scancel", "--me", "--signal=KILL", "--full").catch(() => {}); // nothing to end
      const until = performance.now() + endMs;
      while (performance.now() < until && (await this.queue().catch(() => [])).length > 0) await pause();
    }
    for (const daemon of this.#daemons.reverse()) {
      try {
        daemon.kill("SIGTERM");
      } catch (error) {
        if (!(error instanceof TypeError)) throw error; // it has ended
      }
      await daemon.status;
    }
    await Deno.remove(this.folder, { recursive: true });
  }

  async #start(): Promise<void> {
    const inFolder = (name: string) => join(this.folder, name);
    await Deno.chmod(this.folder, 0o755); // munged wants its socket to be reachable
    await Deno.mkdir(inFolder("state"));
    await Deno.mkdir(inFolder("spool"));
    await Deno.writeFile(inFolder("munge.key-file"), crypto.getRandomValues(new Uint8Array(128)), {
      mode: 0o600,
    });
    const conf = slurmConf({
      folder: this.folder,
      host: Deno.hostname().split(".")[0],
      user: userInfo().username,
      ports: [freePort(), freePort()],
    });
    await Deno.writeTextFile(inFolder("slurm.conf"), conf);
    await Deno.writeTextFile(inFolder("gres.conf"), gresConf);
    const files = ["socket", "key-file", "pid-file", "log-file", "seed-file"];
    this.#spawn("munged", "--foreground", ...files.map((file) => `--${file}=${inFolder(`munge.${file}`)}`));
    await this.#until(() => Deno.stat(inFolder("munge.socket")).then(() => true, () => false));
    this.#spawn("slurmctld", "-D");
    this.#spawn("slurmd", "-D");
    await this.#until(async () =>
      await this.command("sinfo", "--noheader", "--format=%T").catch(String) === "idle"
    );
  }

  async #until(condition: () => Promise<boolean>): Promise<void> {
    for (const until = performance.now() + startMs; !await condition();) {
      if (performance.now() > until || this.#ended > 0) {
        throw new Error(`Slurm does not start: ${await this.#log()}`);
      }
      await pause();
    }
  }

  #spawn(program: string, ...args: string[]): void {
    const logged = new Deno.Command("sh", {
      args: ["-c", 'exec "$@" >>"$LOG" 2>&1', "sh", program, ...args],
      env: { ...this.env, LOG: join(this.folder, "log") },
      stdin: "null",
      stdout: "null",
      stderr: "null",
    });
    const daemon = logged.spawn();
    this.#daemons.push(daemon);
    daemon.status.then(() => this.#ended++);
  }

  async #log(): Promise<string> {
    return (await Deno.readTextFile(join(this.folder, "log"))).split("\n").slice(-20).join("\n");
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, pauseMs));
}
