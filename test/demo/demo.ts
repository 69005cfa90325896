/**
 * `bun run demo`: a vendor and a customer on this machine, from the compiled executables, start to end. Read its output from top to
 * bottom. Every step says what should be so, and the demo ends with an error when one is not.
 */
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../build/command.ts";
import { freePort, type NameServer, startNameServer, zoneText } from "./bind.ts";
import { type Executables, executables } from "./executables.ts";
import { AUTHORITY, BELOW, CLUSTER, configText, GROUP, POLICY, ZONE } from "./files.ts";
import { listeningSockets } from "./sockets.ts";
import {
  type Background,
  CLEAN_ENVIRONMENT,
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
  stopWorkload,
  until,
  workloadPids,
} from "./stage.ts";
import { findTool, type Tool } from "./tools.ts";

const EXIT_WHOLE_UNWITNESSED = 11;
const EXIT_DAMAGED = 13;

/** HOST:PORT of both listeners. */
type Serving = { readonly enrol: string; readonly agents: string; readonly root_sha256: string };
type Stage = Executables & { readonly scratch: string; readonly port: number };

async function demo(scratch: string): Promise<void> {
  const made = executables();
  const stage: Stage = { ...made, scratch, port: await freeRange(3) };
  say(
    `A vendor and its customer on this machine, in ${scratch} (called DEMO below). Nothing outside of it is changed.`,
  );

  const trust = await vendorKeys(stage);
  const { serving, plane } = await vendorServes(stage, ["127.0.0.1:0", "127.0.0.1:0"]);
  await vendorToken(stage);
  const own = await customerPlaces(stage);
  await customerWrites(stage, serving, trust, own.server);
  const agent = await agentJoins(stage);
  listensOnNothing(agent, plane);
  await scales(stage);
  await certificate(stage, own.openssl);
  await dns(stage, own.server);
  await refusals(stage, own.server);
  await cutOff(stage, serving, plane, agent);
  await switchedOff(stage);
  await showLog(stage, own.openssl === null ? 3 : 4);
  await verifyLog(stage, join(scratch, "root.pem"));
  await theEnd(stage, agent);
}

async function freeRange(count: number): Promise<number> {
  // The processes of the group listen side by side; whether all ports are free shows when they start.
  return until(async () => {
    const port = await freePort();
    return port + count < 65536 ? port : null;
  }, "free ports");
}

/** Shows a command, runs it, shows what it says. `shown` is how it is shown. */
async function command(stage: Stage, argv: readonly string[], env = CLEAN_ENVIRONMENT, shown = argv): Promise<Done> {
  showCommand(shown, stage.scratch);
  const done = await run(argv, { env });
  show(done.stderr + done.stdout, stage.scratch);
  return done;
}

async function good(stage: Stage, argv: readonly string[], shown = argv): Promise<Done> {
  const done = await command(stage, argv, CLEAN_ENVIRONMENT, shown);
  if (done.code !== 0) throw new DemoFailed(`exit ${done.code}: ${argv.join(" ")}`);
  return done;
}

/** What the vendor's operator types, the same for every command. */
function sendWith(stage: Stage): string[] {
  const who = ["--cluster", CLUSTER, "--by", "maria@vendor.example", "--why", "INC-4312"];
  return [
    stage.control,
    "send",
    "--dir",
    `${stage.scratch}/control`,
    "--keys",
    `${stage.scratch}/keys`,
    ...who,
    "--wait",
  ];
}

let sent = 0;
/** The first is shown in full, the others without what all have in common. */
function sendShown(stage: Stage, action: readonly string[]): string[] {
  sent += 1;
  return sent === 1 ? [...sendWith(stage), ...action] : [stage.control, "send", "…", ...action];
}

function carriedOut(stage: Stage, ...action: string[]): Promise<Done> {
  return good(stage, [...sendWith(stage), ...action], sendShown(stage, action));
}

async function refused(stage: Stage, action: readonly string[], code: string, claim: string): Promise<void> {
  const done = await command(stage, [...sendWith(stage), ...action], CLEAN_ENVIRONMENT, sendShown(stage, action));
  isRefused(done, code, claim);
}

function isRefused(done: Done, code: string, claim: string): void {
  must(done.code === 1 && `${done.stdout}${done.stderr}`.includes(`code ${code}`), claim, `exit ${done.code}`);
}

async function vendorKeys(stage: Stage): Promise<string> {
  heading("The vendor makes the key that signs its commands. The server of step 2 cannot read it.");
  const done = await good(stage, [stage.control, "keys", "init", "--keys", `${stage.scratch}/keys`, "--json"]);
  const { thumbprint } = JSON.parse(done.stdout) as { thumbprint: string };
  must(
    /^[A-Za-z0-9_-]{43}$/.test(thumbprint),
    "its thumbprint goes into the customer's config; every later key is reached from it",
  );
  return thumbprint;
}

/** The control plane is held against it: what finds nothing there looked at nothing. */
function listensOnNothing(agent: Background, plane: Background): void {
  const [there, here] = [plane, agent].map(({ child }) => listeningSockets(child.pid ?? 0));
  must(
    there === 2 && here === 0,
    "the kernel's tables show two listening sockets of the control plane, and none of the agent",
    `${there} and ${here}`,
  );
}

async function vendorServes(
  stage: Stage,
  [enrolAt, agentsAt]: readonly [string, string],
): Promise<{ serving: Serving; plane: Background }> {
  heading("The vendor serves. The first start makes a root CA, a server certificate and the state.");
  return serve(stage, enrolAt, agentsAt);
}

async function serve(
  stage: Stage,
  enrolAt: string,
  agentsAt: string,
): Promise<{ serving: Serving; plane: Background }> {
  const argv = [stage.control, "serve", "--dir", `${stage.scratch}/control`, "--enrol", enrolAt, "--agents", agentsAt];
  showCommand(argv, stage.scratch);
  const plane = start(argv);
  const line = await plane.firstLine();
  show(line, stage.scratch);
  return { serving: JSON.parse(line) as Serving, plane };
}

async function vendorToken(stage: Stage): Promise<void> {
  heading("The vendor gives the customer a join token: good once, for this cluster, for an hour.");
  const argv = [stage.control, "token", "--dir", `${stage.scratch}/control`, "--cluster", CLUSTER, "--ttl", "1h"];
  showCommand([...argv, ">", "token"], stage.scratch);
  const done = await run(argv);
  const token = done.stdout.trim();
  must(
    done.code === 0 && /^[\w-]+\.[\w-]+\.[\w-]+$/.test(token),
    "it is a signed token; it travels in a file of mode 0600 and is never an argument",
    done.stderr,
  );
  writeFileSync(`${stage.scratch}/token`, token, { mode: 0o600 });
}

type Own = { readonly openssl: Tool | null; readonly server: NameServer | null };

/** What is the customer's own: a CA and a name server. Null where this machine has no program for it and none can be fetched. */
async function customerPlaces(stage: Stage): Promise<Own> {
  heading("The customer has a CA and a name server of its own.");
  const cache = join(ROOT, ".cache");
  const openssl = await findTool("openssl", cache);
  if (openssl === null) say("  skipped: there is no openssl here, so there will be no certificate");
  else await makeAuthority(stage, openssl);
  const server = await startNameServer(`${stage.scratch}/bind`, cache, ZONE, BELOW);
  if (server === null) {
    writeFileSync(`${stage.scratch}/${ZONE}.zone`, zoneText(ZONE));
    say(
      "  There is no BIND here and none could be fetched (that takes root and Debian's apt-get): a zone file stands in for it.",
    );
  } else {
    must(
      true,
      `${server.version} serves ${ZONE}; its own update-policy allows the agent's key A records below ${BELOW} only`,
    );
  }
  return { openssl, server };
}

const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout"];

async function makeAuthority(stage: Stage, openssl: Tool): Promise<void> {
  const folder = `${stage.scratch}/authority`;
  mkdirSync(folder, { mode: 0o700 });
  const files = [...NEW_KEY, `${folder}/ca.key`, "-out", `${folder}/ca.crt`];
  await quiet(stage, openssl, ["req", "-x509", ...files, "-days", "30", "-subj", "/CN=The customer's CA"]);
}

/** Shows the command; its output, which says nothing when all is well, only when it is not. */
async function quiet(stage: Stage, tool: Tool, args: readonly string[]): Promise<void> {
  showCommand([tool.path, ...args], stage.scratch);
  const done = await run([tool.path, ...args], { env: tool.env });
  if (done.code !== 0) throw new DemoFailed(`exit ${done.code}: ${tool.path} ${args.join(" ")}\n${done.stderr}`);
}

async function customerWrites(stage: Stage, serving: Serving, trust: string, names: NameServer | null): Promise<void> {
  heading(
    "The customer writes the config, the policy and the switch `on`. The policy is the customer's word; reeve says it back in sentences.",
  );
  const owner = `${stage.scratch}/owner`;
  mkdirSync(owner, { mode: 0o755 });
  writeFileSync(`${owner}/policy.yaml`, POLICY, { mode: 0o644 });
  writeFileSync(`${owner}/on`, "on\n", { mode: 0o644 });
  const config = configText({
    folder: stage.scratch,
    uid: process.getuid?.() ?? 0,
    enrol: `https://${serving.enrol}`,
    trust,
    root: serving.root_sha256,
    workload: [process.execPath, join(ROOT, "test/demo/workload.ts")],
    port: stage.port,
    zone: zoneConfig(stage, names),
  });
  writeFileSync(`${stage.scratch}/reeve.yaml`, config, { mode: 0o644 });
  await good(stage, [stage.reeve, "policy", "check", `${owner}/policy.yaml`]);
}

function zoneConfig(stage: Stage, names: NameServer | null): object {
  if (names === null) return { file: `${stage.scratch}/${ZONE}.zone` };
  const secret = `${stage.scratch}/tsig`;
  writeFileSync(secret, `${names.secret}\n`, { mode: 0o600 });
  return {
    server: `127.0.0.1:${names.port}`,
    tsig: { name: names.key, algorithm: "hmac-sha256", secret_file: secret },
  };
}

async function agentJoins(stage: Stage): Promise<Background> {
  heading(
    "The customer starts the agent. It listens on nothing: it checks the server against the token's pin, joins, and asks for commands.",
  );
  const argv = [stage.reeve, "run", "--config", `${stage.scratch}/reeve.yaml`];
  showCommand(argv, stage.scratch);
  const agent = start(argv);
  await until(async () => ((await status(stage)).code === 0 ? true : null), "the agent to be ready", agent.said);
  await good(stage, [stage.reeve, "status", "--config", `${stage.scratch}/reeve.yaml`]);
  must(!existsSync(`${stage.scratch}/token`), "the token is used up, and its file is gone");
  await good(stage, [stage.control, "fleet", "--dir", `${stage.scratch}/control`]);
  return agent;
}

function status(stage: Stage): Promise<Done> {
  return run([stage.reeve, "status", "--config", `${stage.scratch}/reeve.yaml`, "--json"]);
}

async function scales(stage: Stage): Promise<void> {
  heading(
    "The vendor scales. These are real processes, and the command succeeds when they answer, not when it was asked for.",
  );
  await carriedOut(stage, "scale", "--group", GROUP, "--count", "2");
  await workloadAnswers(stage, 2);
}

/** Asks each process of the group over HTTP, as its users would. */
async function workloadAnswers(stage: Stage, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    const url = `http://127.0.0.1:${stage.port + n}/`;
    const answer = await fetch(url).then((response) => response.text());
    say(`  GET ${url}   ${answer.trim()}`);
  }
  const pids = workloadPids(stage.scratch);
  must(pids.length === count, `${count} processes run and answer: pids ${pids.join(", ")}`, `they are ${pids.length}`);
}

async function certificate(stage: Stage, openssl: Tool | null): Promise<void> {
  heading(
    "The vendor has a certificate issued. The key was made here and stays here; the policy judges the request itself.",
  );
  if (openssl === null) return say("  skipped: there is no openssl here");
  const folder = `${stage.scratch}/state/csr`;
  const request = `${folder}/broker-0.csr`;
  const files = [...NEW_KEY, `${stage.scratch}/broker-0.key`, "-out", request];
  const name = `broker-0.${BELOW}`;
  await quiet(stage, openssl, ["req", "-new", ...files, "-subj", "/", "-addext", `subjectAltName=DNS:${name}`]);
  const digest = createHash("sha256").update(readFileSync(request)).digest("hex");
  const how = ["--csr-sha256", digest, "--usage", "server", "--validity", "7d"];
  await carriedOut(stage, "issue-certificate", "--authority", AUTHORITY, ...how);
  const verify = [openssl.path, "verify", "-CAfile", `${stage.scratch}/authority/ca.crt`, "-verify_hostname", name];
  const verified = await command(stage, [...verify, `${folder}/broker-0.crt`], openssl.env);
  must(verified.code === 0, "openssl agrees with the certificate");
}

function record(change: string, name: string, value: string): string[] {
  return [
    "update-dns",
    "--zone",
    ZONE,
    "--name",
    name,
    "--type",
    "A",
    "--change",
    change,
    "--value",
    value,
    "--ttl",
    "60s",
  ];
}

async function dns(stage: Stage, names: NameServer | null): Promise<void> {
  heading("The vendor changes DNS.");
  const name = `broker-0.${BELOW}`;
  await carriedOut(stage, ...record("create", name, "10.20.0.10"));
  await recordIs(stage, names, name, "10.20.0.10");
}

/** Asks the name server, not reeve. */
async function recordIs(stage: Stage, names: NameServer | null, name: string, value: string): Promise<void> {
  if (names === null) {
    const zone = readFileSync(`${stage.scratch}/${ZONE}.zone`, "utf8");
    return must(zone.includes(value) && !zone.includes(OUTSIDE), `the zone file says ${value} of ${name}`, zone);
  }
  const answer = await command(stage, names.dig(name, "A"), names.env);
  must(answer.stdout.trim().endsWith(value), `dig sees ${value}`);
}

/** A value that must never appear. */
const OUTSIDE = "10.20.0.66";

async function refusals(stage: Stage, names: NameServer | null): Promise<void> {
  heading("What the policy does not say is refused. Too many machines:");
  await refused(
    stage,
    ["scale", "--group", GROUP, "--count", "12"],
    "policy.count.above-max",
    "refused, with the rule that came closest and the field that failed",
  );
  heading("A name outside of the policy:");
  await refused(stage, record("replace", `www.${ZONE}`, OUTSIDE), "policy.names", "refused");
  await recordIs(stage, names, `www.${ZONE}`, "10.20.0.1");
  heading("A command that was carried out already, sent once more:");
  const first = (await entries(stage)).find((entry) => entry["kind"] === "intent");
  const id = String(first?.["command"]);
  const again = [stage.control, "send", "--dir", `${stage.scratch}/control`, "--replay", id, "--wait"];
  isRefused(await command(stage, again), "verify.replayed", "answered from the record, not carried out twice");
  await workloadAnswers(stage, 2);
}

async function entries(stage: Stage): Promise<Record<string, unknown>[]> {
  const done = await run([stage.reeve, "audit", "show", "--config", `${stage.scratch}/reeve.yaml`, "--json"]);
  if (done.code !== 0) throw new DemoFailed(`audit show: exit ${done.code}\n${done.stderr}`);
  return done.stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

async function cutOff(stage: Stage, serving: Serving, plane: Background, agent: Background): Promise<void> {
  heading("The vendor's control plane dies (kill -9). Nothing here needs it.");
  showCommand(["kill", "-9", String(plane.child.pid)], stage.scratch);
  await stop(plane, "SIGKILL");
  await until(() => (agent.said().includes("no contact") ? true : null), "the agent to notice", agent.said);
  show(lastLine(agent, "no contact"), stage.scratch);
  await workloadAnswers(stage, 2);
  say("  The vendor starts it again; what it knew is still there.");
  await serve(stage, serving.enrol, serving.agents);
  await carriedOut(stage, "scale", "--group", GROUP, "--count", "3");
  show(lastLine(agent, "in contact"), stage.scratch);
  await workloadAnswers(stage, 3);
}

function lastLine(of: Background, holding: string): string {
  return (
    of
      .said()
      .split("\n")
      .findLast((line) => line.includes(holding)) ?? ""
  );
}

async function switchedOff(stage: Stage): Promise<void> {
  heading("The customer turns it off, by deleting one file.");
  const on = `${stage.scratch}/owner/on`;
  showCommand(["rm", on], stage.scratch);
  rmSync(on);
  await refused(
    stage,
    ["scale", "--group", GROUP, "--count", "1"],
    "verify.suspended",
    "refused, whatever the policy permits; the workload is left as it is",
  );
  await workloadAnswers(stage, 3);
  await good(stage, [stage.control, "fleet", "--dir", `${stage.scratch}/control`]);
}

async function showLog(stage: Stage, done: number): Promise<void> {
  heading("All of it is on record: an intent before each change, exactly one outcome after, every refusal.");
  await good(stage, [stage.reeve, "audit", "show", "--config", `${stage.scratch}/reeve.yaml`]);
  const all = await entries(stage);
  const kinds = (kind: string): number => all.filter((entry) => entry["kind"] === kind).length;
  must(
    kinds("intent") === done && kinds("outcome") === done && kinds("refused") === 4,
    `${done} intents, ${done} outcomes, 4 refusals`,
    JSON.stringify(all.map((entry) => entry["kind"])),
  );
}

async function verifyLog(stage: Stage, ca: string): Promise<void> {
  heading("Anybody can verify the log, without the network, with the control plane's root certificate from elsewhere.");
  cpSync(`${stage.scratch}/control/ca/root.pem`, ca);
  const folder = `${stage.scratch}/state/audit`;
  const whole = await command(stage, [stage.reeve, "audit", "verify", "--log", folder, "--ca", ca]);
  must(
    whole.code === EXIT_WHOLE_UNWITNESSED,
    `exit ${EXIT_WHOLE_UNWITNESSED}: whole, but nobody has witnessed it yet, so the newest entries could have been cut`,
    `exit ${whole.code}`,
  );
  heading("Somebody edits one byte of a copy.");
  const copy = `${stage.scratch}/edited`;
  cpSync(folder, copy, { recursive: true });
  editOneByte(copy);
  const damaged = await command(stage, [stage.reeve, "audit", "verify", "--log", copy, "--ca", ca]);
  must(damaged.code === EXIT_DAMAGED, `exit ${EXIT_DAMAGED}: damaged, and it says where`, `exit ${damaged.code}`);
}

/** The number of machines that was asked for, in the first intent: 2 becomes 9. */
function editOneByte(folder: string): void {
  const segment = readdirSync(folder).find((name) => name.endsWith(".jsonl"));
  if (segment === undefined) throw new DemoFailed("the log has no segment");
  const text = readFileSync(`${folder}/${segment}`, "utf8");
  const edited = text.replace('"asked":{"count":2', '"asked":{"count":9');
  must(edited !== text && edited.length === text.length, `in ${segment}: "count":2 is now "count":9`);
  writeFileSync(`${folder}/${segment}`, edited);
}

async function theEnd(stage: Stage, agent: Background): Promise<void> {
  heading("The agent is told to stop (SIGTERM): it finishes what runs, and ends. The workload does not notice.");
  showCommand(["kill", String(agent.child.pid)], stage.scratch);
  const code = await stop(agent, "SIGTERM");
  must(code === 0, "the agent ended with exit 0", agent.said());
  await workloadAnswers(stage, 3);
  stopWorkload(stage.scratch, "SIGTERM");
  await until(() => (workloadPids(stage.scratch).length === 0 ? true : null), "the workload's end");
  must(true, "the demo has stopped the workload itself; nothing is left running");
}

await play("demo", demo, cleanUp);
