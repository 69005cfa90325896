/**
 * `bun run demo:fleet`: forty customers on this machine, each with an agent and a group of real processes, and one library that must be
 * replaced in all of them. Every step says what should be so, and the demo ends with an error when one is not.
 */
import { mkdirSync } from "node:fs";
import { executables } from "./executables.ts";
import { type Customer, each, endWorkload, join, scaleUp, type Vendor, workload } from "./fleetCustomers.ts";
import { SIGNER } from "./fleetFiles.ts";
import { type Image, imageOf, imageRunBy, manifestOf } from "./fleetImages.ts";
import {
  cleanUp,
  DemoFailed,
  type Done,
  heading,
  must,
  play,
  run,
  say,
  show,
  showCommand,
  start,
  stop,
  until,
} from "./stage.ts";

const CLUSTERS = 40;
const MACHINES = 2;
const WIDTH = 6;
const ROLLOUT_SECONDS = 300;
const OPERATOR = "maria@vendor.example";
const OLD = "3.0.11";
const NEW = "3.0.15";

type Serving = { readonly enrol: string; readonly root_sha256: string };
type Stage = Vendor & { readonly scratch: string };

const nameOf = (n: number): string => `customer-${String(n).padStart(2, "0")}`;
const ALL = Array.from({ length: CLUSTERS }, (_, n) => nameOf(n + 1));

async function command(stage: Stage, argv: readonly string[], seconds = 40): Promise<Done> {
  showCommand(argv, stage.scratch);
  const done = await run(argv, { seconds });
  show(done.stderr + done.stdout, stage.scratch);
  return done;
}

async function good(stage: Stage, argv: readonly string[], shown = true): Promise<Done> {
  const done = shown ? await command(stage, argv) : await run(argv);
  if (done.code !== 0) throw new DemoFailed(`exit ${done.code}: ${argv.join(" ")}\n${done.stdout}${done.stderr}`);
  return done;
}

/** The manifest of one cluster, as a file; further ones are copies of it with their own parameters. */
async function manifest(stage: Stage, of: Image, cluster: string, shown: boolean): Promise<string> {
  const { file, words } = manifestOf(stage.scratch, stage.keys, of, cluster, nameOf(1));
  await good(stage, [stage.control, "manifest", ...words], shown);
  return file;
}

async function opens(stage: Stage): Promise<Serving & { readonly trust: string; readonly signer: string }> {
  heading("The vendor makes its keys and serves. The release key signs what may run; each customer's policy names it.");
  const made = await good(stage, [stage.control, "keys", "init", "--keys", stage.keys, "--json"]);
  const { thumbprint } = JSON.parse(made.stdout) as { thumbprint: string };
  const signer = await good(stage, [stage.control, "manifest", "signer", "--as", SIGNER, "--keys", stage.keys]);
  const argv = [stage.control, "serve", "--dir", stage.dir, "--enrol", "127.0.0.1:0", "--agents", "127.0.0.1:0"];
  showCommand(argv, stage.scratch);
  const serving = JSON.parse(await start(argv).firstLine()) as Serving;
  return { ...serving, trust: thumbprint, signer: signer.stdout.trim() };
}

async function customersJoin(
  stage: Stage,
  plane: Awaited<ReturnType<typeof opens>>,
  first: Image,
): Promise<Customer[]> {
  heading(
    `${CLUSTERS} customers join, each with a policy of its own and a group of ${MACHINES} machines (real processes).`,
  );
  const customers: Customer[] = [];
  await each(ALL, WIDTH, async (cluster) => {
    const at = {
      scratch: stage.scratch,
      cluster,
      uid: process.getuid?.() ?? 0,
      enrol: `https://${plane.enrol}`,
      trust: plane.trust,
      root: plane.root_sha256,
      program: first.program,
    };
    customers.push(await join(stage, at, plane.signer));
    await scaleUp(stage, cluster);
  });
  const running = workload(stage.scratch).length;
  must(running === CLUSTERS * MACHINES, `${CLUSTERS} agents are ready, ${running} processes run`, String(running));
  await good(stage, [stage.reeve, "policy", "check", `${stage.scratch}/${nameOf(1)}/owner/policy.yaml`]);
  return customers;
}

async function known(stage: Stage, first: Image): Promise<void> {
  heading(
    "What runs is known to the last library: a manifest from the image's SBOM, signed; a copy elsewhere has its checksum.",
  );
  const checksums = new Set<string>();
  for (const [n, cluster] of ALL.entries()) {
    const file = await manifest(stage, first, cluster, n < 2);
    await good(
      stage,
      [stage.control, "manifest", "import", file, "--dir", stage.dir, "--by", OPERATOR, "--why", "first release"],
      n < 2,
    );
    const shown = await run([stage.control, "manifest", "show", file, "--json"]);
    checksums.add((JSON.parse(shown.stdout) as { checksum: string }).checksum);
  }
  must(checksums.size === 1, `${CLUSTERS} clusters, one checksum: ${[...checksums][0]}`, [...checksums].join(" "));
}

/** How many clusters hold a version of libssl3, by the inventory. */
async function holds(stage: Stage, libssl: string): Promise<number> {
  const done = await command(stage, [
    stage.control,
    "manifest",
    "holds",
    "libssl3",
    libssl,
    "--dir",
    stage.dir,
    "--json",
  ]);
  return new Set((JSON.parse(done.stdout) as { holders: { cluster: string }[] }).holders.map(({ cluster }) => cluster))
    .size;
}

function rollout(stage: Stage, file: string, why: string): string[] {
  const lanes = ["--lanes", "10,25,50,100", "--soak", "1s", "--by", OPERATOR, "--why", why];
  return [stage.control, "rollout", "start", file, "--dir", stage.dir, "--keys", stage.keys, "--as", SIGNER, ...lanes];
}

/** Which image each process runs, as the kernel says it. */
function running(stage: Stage, of: Image): number {
  return workload(stage.scratch).filter((pid) => imageRunBy(pid) === of.digest).length;
}

type Stopped = {
  readonly state: string;
  readonly lane: number;
  readonly lanes: readonly { readonly clusters: number }[];
  readonly members: readonly { readonly lane: number; readonly attempts: number; readonly target: string | null }[];
};

/** By the rollout's own account: in which lane it ended, and that nothing was made or sent for anybody of a later one. */
async function firstLaneOnly(stage: Stage, code: number | null): Promise<void> {
  const at = ["--dir", stage.dir, "--json"];
  const listed = await good(stage, [stage.control, "rollout", "list", ...at], false);
  const [newest] = (JSON.parse(listed.stdout) as { rollouts: { rollout: number }[] }).rollouts;
  const argv = [stage.control, "rollout", "status", String(newest?.rollout), "--clusters", ...at];
  const { state, lane, lanes, members } = JSON.parse((await good(stage, argv, false)).stdout) as Stopped;
  must(
    code === 1 && state === "stopped" && lane === 1,
    "the rollout has stopped itself in its first lane",
    `exit ${code}: ${state} in lane ${lane}`,
  );
  // A member's lane is counted from 0.
  const later = members.filter((member) => member.lane > 0);
  const untouched = later.filter((member) => member.attempts === 0 && member.target === null).length;
  const beyond = CLUSTERS - (lanes[0]?.clusters ?? 0);
  must(
    later.length === beyond && untouched === beyond,
    `none of the ${beyond} clusters of the later lanes was touched`,
    `${untouched} of ${later.length}`,
  );
}

async function bad(stage: Stage, first: Image): Promise<void> {
  heading(`libssl ${OLD} has a hole. The vendor builds ${NEW}; the first build is bad: its program ends at once.`);
  const broken = imageOf(stage.scratch, "/bin/false", "1.1.0", NEW);
  const file = await manifest(stage, broken, nameOf(1), true);
  const before = `${stage.scratch}/${nameOf(1)}-${first.version}.manifest`;
  await command(stage, [stage.control, "manifest", "diff", before, file]);
  const done = await command(stage, rollout(stage, file, "CVE in libssl"), ROLLOUT_SECONDS);
  await firstLaneOnly(stage, done.code);
  const still = running(stage, first);
  must(still === CLUSTERS * MACHINES, `every one of the ${still} processes runs what it ran before`, String(still));
  must((await holds(stage, OLD)) === CLUSTERS, `${CLUSTERS} clusters hold libssl ${OLD}, and the inventory says so`);
}

async function mended(stage: Stage): Promise<void> {
  heading("The mended build goes through all four lanes, one after the other.");
  const fixed = imageOf(stage.scratch, "/bin/sleep", "1.1.1", NEW);
  const file = await manifest(stage, fixed, nameOf(1), true);
  const done = await command(stage, rollout(stage, file, "CVE in libssl"), ROLLOUT_SECONDS);
  must(done.code === 0, "the rollout has finished", `exit ${done.code}`);
  const now = running(stage, fixed);
  must(now === CLUSTERS * MACHINES, `all ${now} processes run the new image`, String(now));
  must((await holds(stage, OLD)) === 0, `no cluster holds libssl ${OLD} any more`);
  must((await holds(stage, NEW)) === CLUSTERS, `${CLUSTERS} hold ${NEW}`);
}

async function proven(stage: Stage): Promise<void> {
  heading("Who changed what, when, why, and where the customer's own log says so.");
  const one = nameOf(1);
  await good(stage, [stage.control, "fleet", "history", one, "--dir", stage.dir]);
  const now = new Date(Date.now() + 1000).toISOString().replace(/\.\d+Z/, "Z");
  const at = [stage.control, "manifest", "at", now, "--dir", stage.dir, "--cluster"];
  const checksums: string[] = [];
  for (const cluster of [one, nameOf(CLUSTERS)]) {
    const done = await good(stage, [...at, cluster, "--json"], false);
    checksums.push((JSON.parse(done.stdout) as { checksum: string }).checksum);
  }
  await good(stage, [...at, one]);
  const verify = [stage.control, "manifest", "verify", "--cluster", one, "--dir", stage.dir];
  await until(async () => ((await run(verify)).code === 0 ? true : null), "the agent to say what its group runs");
  await good(stage, verify);
  must(
    checksums[0] === checksums[1] && checksums[0] !== null,
    `${one} and ${nameOf(CLUSTERS)} are the same: ${checksums[0]}`,
  );
}

async function demo(scratch: string): Promise<void> {
  const stage: Stage = { ...executables(), scratch, dir: `${scratch}/control`, keys: `${scratch}/keys` };
  say(
    `A vendor and ${CLUSTERS} customers on this machine, in ${scratch} (called DEMO below). Nothing outside of it is changed.`,
  );
  mkdirSync(`${scratch}/artifacts`, { mode: 0o755 });
  const plane = await opens(stage);
  const first = imageOf(stage.scratch, "/bin/sleep", "1.0.0", OLD);
  const customers = await customersJoin(stage, plane, first);
  await known(stage, first);
  must((await holds(stage, OLD)) === CLUSTERS, `one command says which clusters hold libssl ${OLD}: ${CLUSTERS}`);
  await bad(stage, first);
  await mended(stage);
  await proven(stage);
  heading("The end: agents stop, their workloads do not notice.");
  await Promise.all(customers.map(({ agent }) => stop(agent, "SIGTERM")));
  must(workload(scratch).length === CLUSTERS * MACHINES, "all processes still run");
  endWorkload(scratch);
  await until(() => (workload(scratch).length === 0 ? true : null), "the workload's end");
}

await play("fleet", demo, (scratch) => {
  endWorkload(scratch);
  cleanUp(scratch);
});
