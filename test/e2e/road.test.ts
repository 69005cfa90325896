import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { RULES, ran, send, type World, world, writePolicy } from "./world.ts";

let w: World;
beforeAll(async () => {
  w = await world();
}, 60_000);
afterAll(async () => {
  await w?.end();
}, 60_000);

type Shown = { kind: string; code?: string; command?: string; index: number; result?: string };
const entries = (): Shown[] => w.entries() as Shown[];
const last = (kind: string): Shown | undefined =>
  entries()
    .filter((entry) => entry.kind === kind)
    .at(-1);

describe("the road, through the compiled executables", () => {
  test("a one-time token becomes an identity, and the token's file is gone", async () => {
    const token = readFileSync(join(w.folder, "token"), "utf8");
    w.startAgent();
    await w.until("the agent says ready", () => w.reeve(["status"], "--json").code === 0);
    expect(existsSync(join(w.folder, "token"))).toBe(false);
    expect(statSync(w.state).mode & 0o777).toBe(0o700);
    expect(ran("grep", "-rlF", token, w.state, w.data, join(w.folder, "agent.err")).stdout).toBe("");
  }, 60_000);

  test("a scale command becomes that many processes, an intent and then one outcome", () => {
    const sent = send(w, "scale", "--group", "brokers", "--count", "2");
    expect(sent.stderr).not.toContain("error");
    expect(sent.code).toBe(0);
    expect(w.pids().length).toBe(2);
    const both = entries().filter((entry) => entry.kind === "intent" || entry.kind === "outcome");
    expect(both.map((entry) => entry.kind)).toEqual(["intent", "outcome"]);
    expect(both[1]?.result).toBe("succeeded");
  }, 60_000);

  test("what no rule permits is refused with its code, on record, and changes nothing", () => {
    const sent = send(w, "scale", "--group", "brokers", "--count", "9");
    expect(sent.code).toBe(1);
    expect(last("refused")?.code).toBe("policy.count.above-max");
    expect(send(w, "scale", "--group", "databases", "--count", "1").code).toBe(1);
    expect(last("refused")?.code).toBe("match.no-rule");
    expect(w.pids().length).toBe(2);
  }, 60_000);

  test("a dry run is considered, and uses up its id without an intent", () => {
    const before = entries().filter((entry) => entry.kind === "intent").length;
    expect(send(w, "scale", "--group", "brokers", "--count", "3", "--dry-run").code).toBe(0);
    expect(last("considered")).toBeDefined();
    expect(entries().filter((entry) => entry.kind === "intent").length).toBe(before);
    expect(w.pids().length).toBe(2);
  }, 60_000);

  test("a replayed command is refused, also after a restart", async () => {
    const id = entries().find((entry) => entry.kind === "intent")?.command ?? "";
    const replay = async (): Promise<void> => {
      const before = entries().length;
      expect(w.vendor("send", "--keys", w.keys, "--cluster", "prod-eu-1", "--replay", id).stderr).not.toContain(
        "error",
      );
      await w.until(
        "the replay is refused",
        () => entries().length > before && last("refused")?.code === "verify.replayed",
      );
    };
    await replay();
    ran("pkill", "-TERM", "-f", `${w.folder}/reeve.yaml`);
    await w.until("it stopped", () => entries().at(-1)?.kind === "stopped");
    w.startAgent();
    await w.until("the agent says ready", () => w.reeve(["status"], "--json").code === 0);
    await replay();
    expect(entries().filter((entry) => entry.kind === "intent" && entry.command === id).length).toBe(1);
  }, 60_000);

  test("a certificate for a judged request is delivered beside it, and openssl agrees", () => {
    const csr = join(w.folder, "csr/broker-1.csr");
    ran(
      "openssl",
      "req",
      "-new",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-keyout",
      join(w.folder, "broker.key"),
      "-out",
      csr,
      "-subj",
      "/CN=b1.prod-eu-1.example.com",
      "-addext",
      "subjectAltName=DNS:b1.prod-eu-1.example.com",
    );
    const digest = createHash("sha256").update(readFileSync(csr)).digest("hex");
    const sent = send(
      w,
      "issue-certificate",
      "--authority",
      "clients",
      "--csr-sha256",
      digest,
      "--usage",
      "server",
      "--validity",
      "30d",
    );
    expect(sent.stdout + sent.stderr).not.toContain("refused");
    expect(sent.code).toBe(0);
    const verified = ran(
      "openssl",
      "verify",
      "-purpose",
      "sslserver",
      "-CAfile",
      join(w.folder, "authority/ca.crt"),
      join(w.folder, "csr/broker-1.crt"),
    );
    expect(verified.stdout).toContain("OK");
  }, 60_000);

  test("a request for another name, or for a CA, is refused", () => {
    for (const [extension, code] of [
      ["subjectAltName=DNS:evil.example.org", "policy.csr.san"],
      ["subjectAltName=DNS:*.prod-eu-1.example.com", "policy.csr.san"],
      ["subjectAltName=IP:10.0.0.1", "policy.csr.san"],
    ] as const) {
      const csr = join(w.folder, "csr/bad.csr");
      ran(
        "openssl",
        "req",
        "-new",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-keyout",
        "/dev/null",
        "-out",
        csr,
        "-subj",
        "/",
        "-addext",
        extension,
      );
      const digest = createHash("sha256").update(readFileSync(csr)).digest("hex");
      expect(
        send(
          w,
          "issue-certificate",
          "--authority",
          "clients",
          "--csr-sha256",
          digest,
          "--usage",
          "server",
          "--validity",
          "1d",
        ).code,
      ).toBe(1);
      expect([code, "policy.names"]).toContain(last("refused")?.code ?? "");
      expect(existsSync(join(w.folder, "csr/bad.crt"))).toBe(false);
    }
  }, 60_000);

  test("a request with more names than an outcome can hold is refused before anything is issued", () => {
    const csr = join(w.folder, "csr/many.csr");
    const names = Array.from({ length: 65 }, (_, at) => `DNS:n${at}.prod-eu-1.example.com`).join(",");
    ran(
      "openssl",
      "req",
      "-new",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-keyout",
      "/dev/null",
      "-out",
      csr,
      "-subj",
      "/",
      "-addext",
      `subjectAltName=${names}`,
    );
    const digest = createHash("sha256").update(readFileSync(csr)).digest("hex");
    const sent = send(
      w,
      "issue-certificate",
      "--authority",
      "clients",
      "--csr-sha256",
      digest,
      "--usage",
      "server",
      "--validity",
      "1d",
    );
    expect(sent.code).toBe(1);
    expect(last("refused")?.code).toBe("policy.csr.unreadable");
  }, 60_000);

  test("a record is created in the zone file, and one outside is refused", () => {
    const set = (name: string, value: string) =>
      send(
        w,
        "update-dns",
        "--zone",
        "example.com",
        "--name",
        name,
        "--type",
        "A",
        "--change",
        "create",
        "--value",
        value,
        "--ttl",
        "60s",
      );
    expect(set("b1.brokers.example.com", "10.20.0.5").code).toBe(0);
    expect(readFileSync(join(w.folder, "zone/example.com.zone"), "utf8")).toContain("10.20.0.5");
    expect(set("www.example.com", "10.20.0.5").code).toBe(1);
    expect(last("refused")?.code).toBe("policy.names");
    expect(set("b2.brokers.example.com", "10.21.0.5").code).toBe(1);
    expect(last("refused")?.code).toBe("policy.values");
  }, 60_000);

  test("the owner's switch off refuses everything, and on again permits", () => {
    expect(w.reeve(["suspend"], "--why", "maintenance").code).toBe(0);
    expect(send(w, "scale", "--group", "brokers", "--count", "3").code).toBe(1);
    expect(last("refused")?.code).toBe("verify.suspended");
    expect(w.reeve(["resume"]).code).toBe(0);
    rmSync(join(w.owner, "on"));
    expect(send(w, "scale", "--group", "brokers", "--count", "3").code).toBe(1);
    expect(w.reeve(["resume"]).code).toBe(0);
    expect(send(w, "scale", "--group", "brokers", "--count", "3").code).toBe(0);
  }, 60_000);

  test("an older policy put back between two polls is refused, for a command was judged by the newer one", () => {
    writePolicy(w, RULES, 3);
    expect(send(w, "scale", "--group", "brokers", "--count", "2").code).toBe(0);
    writePolicy(w, RULES, 2);
    expect(send(w, "scale", "--group", "brokers", "--count", "3").code).toBe(1);
    expect(last("refused")?.code).toBe("policy.revision");
  }, 60_000);

  const policy = (): string => join(w.owner, "policy.yaml");
  const spoiled: [string, () => void, string][] = [
    ["missing", () => rmSync(policy()), "policy.unreadable"],
    ["empty", () => writeFileSync(policy(), ""), "policy.invalid"],
    ["world-writable", () => chmodSync(policy(), 0o666), "policy.permission"],
    ["half written", () => writeFileSync(policy(), readFileSync(policy(), "utf8").slice(0, 300)), "policy.invalid"],
    ["a lower revision", () => writePolicy(w, RULES, 1), "policy.revision"],
    [
      "a symlink",
      () => {
        renameSync(policy(), `${policy()}.real`);
        symlinkSync(`${policy()}.real`, policy());
      },
      "policy.permission",
    ],
    [
      "a FIFO",
      () => {
        rmSync(policy());
        ran("mkfifo", policy());
      },
      "policy.permission",
    ],
  ];
  for (const [what, spoil, code] of spoiled) {
    test(`a policy that is ${what} refuses everything`, () => {
      writePolicy(w, RULES, 5);
      expect(send(w, "scale", "--group", "brokers", "--count", "2").code).toBe(0);
      spoil();
      expect(send(w, "scale", "--group", "brokers", "--count", "3").code).toBe(1);
      expect(last("refused")?.code).toBe(code);
      rmSync(policy(), { force: true });
      writePolicy(w, RULES, 5);
      expect(send(w, "scale", "--group", "brokers", "--count", "3").code).toBe(0);
    }, 60_000);
  }

  test("variables off the list refuse the start; version and help do not mind", () => {
    for (const name of [
      "BUN_OPTIONS",
      "NODE_EXTRA_CA_CERTS",
      "LD_LIBRARY_PATH",
      "SSL_CERT_FILE",
      "AWS_REGION",
      "https_proxy",
    ]) {
      const value = name === "BUN_OPTIONS" ? "--smol" : "/nonexistent";
      const refused = ran(
        "env",
        `${name}=${value}`,
        join(import.meta.dir, "../../dist/reeve"),
        "run",
        "--config",
        w.config,
      );
      expect(refused.code).toBe(3);
      expect(refused.stderr).toContain(name);
      expect(ran("env", `${name}=${value}`, join(import.meta.dir, "../../dist/reeve"), "version").code).toBe(0);
    }
  }, 60_000);

  test("a second agent on the same state is refused by the lock", () => {
    const second = ran("timeout", "10", join(import.meta.dir, "../../dist/reeve"), "run", "--config", w.config);
    expect(second.code).toBe(7);
  }, 60_000);

  test("the processes stay when both executables are killed", async () => {
    const before = w.pids();
    expect(before.length).toBeGreaterThan(0);
    ran("pkill", "-KILL", "-f", `${w.folder}/reeve.yaml`);
    w.control.kill("SIGKILL");
    await Bun.sleep(300);
    expect(w.pids()).toEqual(before);
    await w.startControl();
    w.startAgent();
    await w.until("the agent says ready", () => w.reeve(["status"], "--json").code === 0);
    expect(send(w, "scale", "--group", "brokers", "--count", "1").code).toBe(0);
    expect(w.pids().length).toBe(1);
  }, 60_000);

  test("the log verifies, says that nobody witnessed it, and shows one changed byte", () => {
    expect(w.reeve(["audit", "verify"], "--ca", w.root).code).toBe(11);
    const copy = join(w.folder, "copy");
    mkdirSync(copy);
    ran("cp", "-r", join(w.state, "audit"), copy);
    const segment = join(copy, "audit/00000000000000000000.jsonl");
    const text = readFileSync(segment, "utf8");
    writeFileSync(segment, text.replace('"count":2', '"count":3'));
    expect(
      ran(join(import.meta.dir, "../../dist/reeve"), "audit", "verify", "--log", join(copy, "audit"), "--ca", w.root)
        .code,
    ).toBe(13);
    copyFileSync(segment, `${segment}.seen`);
  }, 60_000);
});
