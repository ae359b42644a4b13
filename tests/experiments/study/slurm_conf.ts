import { join } from "node:path";

/** What Slurm's configuration depends on. */
interface Machine {
  /** For all that the daemons write. */
  readonly folder: string;
  /** This machine's name, without a domain. */
  readonly host: string;
  /** Who runs the daemons; all jobs are theirs. */
  readonly user: string;
  /** Free ports for slurmctld and slurmd. */
  readonly ports: readonly [number, number];
}

/** The made-up GPUs of the node, the content of `gres.conf`. */
export const gresConf = "Name=gpu Type=made-up File=/dev/null\nName=gpu Type=made-up File=/dev/zero\n";

/**
 * The configuration of a cluster of one node that listens on 127.0.0.1 only, needs neither systemd nor cgroups, keeps no
 * accounts, and loses no time between jobs.
 */
export function slurmConf({ folder, host, user, ports: [controller, node] }: Machine): string {
  const settings = {
    ClusterName: "tests",
    SlurmctldHost: `${host}(127.0.0.1)`,
    SlurmctldPort: controller,
    SlurmdPort: node,
    SlurmUser: user,
    SlurmdUser: user,
    CommunicationParameters: "NoCtldInAddrAny,NoInAddrAny",
    AuthType: "auth/munge",
    CredType: "cred/munge",
    AuthInfo: `socket=${join(folder, "munge.socket")}`,
    StateSaveLocation: join(folder, "state"),
    SlurmdSpoolDir: join(folder, "spool"),
    SlurmctldPidFile: join(folder, "slurmctld.pid"),
    SlurmdPidFile: join(folder, "slurmd.pid"),
    ProctrackType: "proctrack/linuxproc",
    TaskPlugin: "task/none",
    JobAcctGatherType: "jobacct_gather/none",
    MpiDefault: "none",
    SelectType: "select/cons_tres",
    SelectTypeParameters: "CR_Core",
    SchedulerParameters: "batch_sched_delay=0,sched_interval=1,bf_interval=1",
    SlurmdParameters: "config_overrides",
    MailProg: "/bin/true",
    GresTypes: "gpu",
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  return [
    ...lines,
    `NodeName=${host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=1000 Gres=gpu:made-up:2 Feature=small,quiet State=UNKNOWN`,
    `PartitionName=tests Nodes=${host} Default=YES MaxTime=60 State=UP`,
    "",
  ].join("\n");
}
