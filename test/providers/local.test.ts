import { afterAll, beforeAll } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DnsArgs, ScaleArgs } from "../../policy/asked.ts";
import { localProvider } from "../../providers/local/local.ts";
import { processAt } from "../../providers/local/processes.ts";
import type { AuthorityState, JudgedCertificateArgs, RecordState, ScaleState } from "../../providers/provider.ts";
import { GRANTED, type NameServer, startBind, TSIG_NAME, ZONE } from "./bind.ts";
import { type Case, conforms } from "./conformance.ts";
import type { DeployCase } from "./deployClaims.ts";
import { addProgram, imagesIn, killAll, premises } from "./programs.ts";
import { act, host, removeAll, scratch } from "./world.ts";

const root = scratch();
let bind: NameServer;
beforeAll(async () => {
  bind = await startBind(`${root}/bind`);
}, 330_000);
afterAll(async () => {
  await bind.stop();
  removeAll([root]);
});

/** Pids that the kernel knows under these words. */
function running(mark: string): number[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").includes(mark) && processAt(pid) !== null;
    } catch {
      // It ended while we looked.
      return false;
    }
  });
}

async function processes(): Promise<Case<ScaleArgs, ScaleState>> {
  const state = mkdtempSync(join(root, "scale-"));
  const command = ["/bin/sh", "-c", "sleep 300 & wait", state];
  const groups = { web: { command, health: { probe: "none" as const }, ready_seconds: 0, stop_seconds: 1 } };
  const action = localProvider({ host }, { groups, authorities: {}, zones: {} }, state).scale;
  return {
    command: { action, args: { group: "web", count: 2 }, resource: "web" },
    absent: { group: "other", count: 2 },
    stale: { count: 1 },
    async look() {
      const count = running(state).length;
      return count === 0 ? "before" : count === 2 ? "after" : "other";
    },
    async end() {
      for (const pid of running(state)) process.kill(-pid, "SIGKILL");
    },
  };
}

async function programs(): Promise<DeployCase> {
  const folder = mkdtempSync(join(root, "deploy-"));
  const at = premises(folder);
  const { scale, deploy } = localProvider({ host }, at.config, at.state, at.artifacts);
  if (deploy === undefined) throw new Error("the local provider deploys");
  await act({ action: scale, args: { group: "web", count: 2 }, resource: "web" });
  const to = (image: string) => ({ group: "web", manifest: `sha256:${"0".repeat(64)}`, image, digest: image });
  const next = addProgram(at.artifacts, "next").image;
  return {
    command: { action: deploy, args: to(next), resource: "web" },
    absent: { ...to(next), group: "other" },
    stale: { image: next, count: 2, healthy: 2 },
    bad: to(addProgram(at.artifacts, "bad", "/usr/bin/false").image),
    unfit: to(`sha256:${"1".repeat(64)}`),
    async look() {
      const images = imagesIn(folder).join(" ");
      if (images === [next, next].join(" ")) return "after";
      return images === [at.first.image, at.first.image].join(" ") ? "before" : "other";
    },
    async end() {
      killAll(folder);
    },
  };
}

async function folder(): Promise<Case<JudgedCertificateArgs, AuthorityState>> {
  const directory = mkdtempSync(join(root, "ca-"));
  const openssl = (...words: string[]) => spawnSync("/usr/bin/openssl", words, { cwd: directory, encoding: "utf8" });
  const made = (...words: string[]) => {
    const done = openssl(...words);
    if (done.status !== 0) throw new Error(done.stderr);
  };
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-config", "cnf"];
  writeFileSync(`${directory}/cnf`, "[req]\ndistinguished_name=dn\n[dn]\n[ca]\nbasicConstraints=critical,CA:TRUE\n");
  made(
    "req",
    "-x509",
    ...curve,
    "-extensions",
    "ca",
    "-keyout",
    "ca.key",
    "-subj",
    "/CN=CA",
    "-days",
    "9",
    "-out",
    "ca.crt",
  );
  made("req", ...curve, "-keyout", "leaf.key", "-subj", "/CN=a.example.com", "-outform", "DER", "-out", "csr");
  const deliver = `${directory}/leaf.crt`;
  const authorities = { internal: { directory } };
  const provider = localProvider({ host }, { groups: {}, authorities, zones: {} }, `${directory}/state`);
  const csrDer = new Uint8Array(readFileSync(`${directory}/csr`));
  const args = {
    authority: "internal",
    usages: ["server" as const],
    validity: 3600,
    csrDer,
    names: ["a.example.com"],
    deliver,
  };
  return {
    command: { action: provider["issue-certificate"], args, resource: "internal" },
    absent: { ...args, authority: "other" },
    stale: { subject: "CN=another" },
    async look() {
      if (!existsSync(deliver)) return existsSync(`${directory}/issued`) ? "other" : "before";
      return openssl("verify", "-CAfile", "ca.crt", "-verify_hostname", "a.example.com", deliver).status === 0
        ? "after"
        : "other";
    },
    async end() {
      removeAll([directory]);
    },
  };
}

const DNS: DnsArgs = { zone: ZONE, name: GRANTED, type: "A", change: "create", values: ["10.0.0.1"], ttl: 60 };

async function server(): Promise<Case<DnsArgs, RecordState>> {
  const tsig = { name: TSIG_NAME, algorithm: "hmac-sha256" as const, secret_file: bind.secretFile };
  const zones = { [ZONE]: { server: bind.server, tsig } };
  const provider = localProvider({ host }, { groups: {}, authorities: {}, zones }, root);
  bind.byOther(`update delete ${GRANTED} A`);
  return {
    command: { action: provider["update-dns"], args: DNS, resource: `${ZONE}/${GRANTED}` },
    absent: { ...DNS, zone: "other.example" },
    stale: { record: { values: ["10.0.0.9"], ttl: 60 } },
    async look() {
      const seen = bind.dig(GRANTED, "A").join();
      return seen === "" ? "before" : seen === "60 IN A 10.0.0.1" ? "after" : "other";
    },
    async end() {
      bind.byOther(`update delete ${GRANTED} A`);
    },
  };
}

async function zoneFile(): Promise<Case<DnsArgs, RecordState>> {
  const file = join(mkdtempSync(join(root, "zone-")), "zone");
  const before = `$TTL 60\n@ IN SOA ns host 1 2 3 4 5\n@ IN NS ns\nns IN A 10.0.0.9\n`;
  writeFileSync(file, before);
  const provider = localProvider({ host }, { groups: {}, authorities: {}, zones: { [ZONE]: { file } } }, root);
  return {
    command: { action: provider["update-dns"], args: DNS, resource: `${ZONE}/${GRANTED}` },
    absent: { ...DNS, zone: "other.example" },
    stale: { record: { values: ["10.0.0.9"], ttl: 60 } },
    async look() {
      if (readFileSync(file, "utf8") === before) return "before";
      // BIND's own reader of zone files.
      const shown = spawnSync("/usr/bin/named-checkzone", ["-q", "-D", "-o", "-", ZONE, file], { encoding: "utf8" });
      return shown.status === 0 && /^www\.example\.com\.\s+60 IN A\s+10\.0\.0\.1$/m.test(shown.stdout)
        ? "after"
        : "other";
    },
    async end() {
      removeAll([file]);
    },
  };
}

conforms({
  provider: "local",
  scale: { processes },
  "issue-certificate": { "a folder": folder },
  "update-dns": { "a name server": server, "a zone file": zoneFile },
  deploy: { programs },
});
