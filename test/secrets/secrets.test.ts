import { afterAll, beforeAll, expect, test } from "bun:test";
import { createHash, generateKeyPairSync } from "node:crypto";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CONTROL, ran, send, type World, world } from "../e2e/world.ts";
import { filesBelow, formsOf, formsOfKey, type Places, processPlaces, whereIs } from "./forms.ts";

/** After a whole run of both compiled executables: where each secret stands, in every file, every answer and what the kernel tells of them. */
const LONG = 240_000;
let w: World;
let agent = 0;
const said = new Map<string, Buffer>();
const secrets = new Map<string, readonly Buffer[]>();
let tokenBefore: string[] = [];

/** What a command prints is looked through as well. */
function say(
  name: string,
  done: { readonly stdout: string; readonly stderr: string; readonly code: number | null },
): number | null {
  said.set(`what is printed by ${name}`, Buffer.from(done.stdout + done.stderr));
  return done.code;
}
function places(): Places {
  const pid = w.control.pid ?? 0;
  return new Map([
    ...filesBelow(w.folder),
    ...said,
    ...processPlaces("agent", agent),
    ...processPlaces("control", pid),
  ]);
}

function certificate(): void {
  const csr = join(w.folder, "csr/broker-1.csr");
  const key = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
    "-keyout",
    join(w.folder, "broker.key"),
  ];
  const name = ["-subj", "/CN=b1.prod-eu-1.example.com", "-addext", "subjectAltName=DNS:b1.prod-eu-1.example.com"];
  expect(ran("openssl", "req", "-new", ...key, "-out", csr, ...name).code).toBe(0);
  chmodSync(csr, 0o644);
  const digest = createHash("sha256").update(readFileSync(csr)).digest("hex");
  const flags = ["--authority", "clients", "--csr-sha256", digest, "--usage", "server", "--validity", "24h"];
  expect(say("send issue-certificate", send(w, "issue-certificate", ...flags))).toBe(0);
}

beforeAll(async () => {
  w = await world();
  const token = readFileSync(w.token, "utf8").trim();
  secrets.set("the join token", formsOf(Buffer.from(token)));
  secrets.set("the join token's signature", formsOf(Buffer.from(token.split(".").at(-1) ?? "", "base64url")));
  tokenBefore = whereIs(secrets.get("the join token") ?? [], filesBelow(w.folder));
  agent = w.startAgent().pid ?? 0;
  await w.until("ready", () => w.reeve(["status"], "--json").code === 0, 120);
  expect(say("send scale", send(w, "scale", "--group", "brokers", "--count", "1"))).toBe(0);
  certificate();
  expect(say("send scale, refused", send(w, "scale", "--group", "brokers", "--count", "9"))).toBe(1);
  const identity = JSON.parse(readFileSync(join(w.state, "identity/agent.json"), "utf8")) as {
    log_key: string;
    current: { key: string };
  };
  secrets.set("the certificate's key", formsOfKey(identity.current.key));
  secrets.set("the log's key", formsOfKey(identity.log_key));
  secrets.set("the authority's key", formsOfKey(readFileSync(join(w.folder, "authority/ca.key"), "utf8")));
  const command = [...filesBelow(w.keys).values()].map((bytes) => JSON.parse(bytes.toString()) as { d: string });
  secrets.set("the command key", formsOf(Buffer.from(command[0]?.d ?? "", "base64url")));
  for (const verb of ["status", "doctor", "audit show", "audit verify"]) {
    say(`reeve ${verb}`, w.reeve(verb.split(" ")));
    say(`reeve ${verb} --json`, w.reeve(verb.split(" "), "--json"));
  }
  say("reeve doctor --bundle", w.reeve(["doctor"], "--bundle", join(w.folder, "support.tar")));
  say("reeve-control fleet", ran(CONTROL, "fleet", "--dir", w.data, "--json"));
}, LONG);
afterAll(async () => {
  await w?.end();
}, LONG);

test("each place that is looked at is there and holds something", () => {
  const all = places();
  const one = (name: string): number => all.get(name)?.length ?? 0;
  const wanted = ["support.tar", "state/identity/agent.json", "owner/policy.yaml", "reeve.yaml"];
  const processes = ["environ", "cmdline", "maps"].flatMap((kind) =>
    ["agent", "control"].map((who) => `${who}: /proc/PID/${kind}`),
  );
  for (const name of [...wanted, ...processes]) expect([name, one(name) > 0]).toEqual([name, true]);
  expect(all.get("agent: /proc/PID/cmdline")?.toString()).toContain("run\0--config");
  for (const name of ["status", "doctor", "audit show", "audit verify"])
    expect([name, one(`what is printed by reeve ${name}`) > 0]).toEqual([name, true]);
  for (const start of ["control/", "state/", "owner/"])
    expect([start, [...all.keys()].filter((name) => name.startsWith(start)).length > 0]).toEqual([start, true]);
});

test("the join token, found in its file before, is nowhere after enrolment", () => {
  expect(tokenBefore).toEqual(["token"]);
  for (const what of ["the join token", "the join token's signature"])
    expect([what, ...whereIs(secrets.get(what) ?? [], places())]).toEqual([what]);
});

test.each([
  ["the certificate's key", ["state/identity/agent.json"]],
  ["the log's key", ["state/identity/agent.json"]],
  ["the authority's key", ["authority/ca.key"]],
])("%s stands in its own file and nowhere else, in no form", (what, wanted) => {
  expect(whereIs(secrets.get(what) ?? [], places())).toEqual(wanted);
});

test("the command key stands in its folder and nowhere that serve or the agent reads", () => {
  const found = whereIs(secrets.get("the command key") ?? [], places());
  expect(found.length).toBe(1);
  expect(found[0]).toStartWith("keys/command-");
});

test("a secret that is planted is found: in a file, raw or within a longer text, in the state, in a log", () => {
  for (const [what, forms] of secrets)
    for (const [at, form] of forms.entries()) {
      const planted = new Map([["planted", Buffer.concat([Buffer.from("a log line "), form, Buffer.from("\n")])]]);
      expect([what, at, whereIs(forms, planted)]).toEqual([what, at, ["planted"]]);
    }
  const { privateKey } = generateKeyPairSync("ed25519");
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const inside = Buffer.from(`{"said":"${Buffer.from(`some words ${pem}`).toString("base64")}"}`);
  const der = Buffer.concat([Buffer.from("x"), privateKey.export({ type: "pkcs8", format: "der" })]);
  for (const text of [
    der.toString("base64"),
    der.toString("base64url"),
    der.toString("hex"),
    JSON.stringify({ pem }),
  ]) {
    const file = join(w.state, "planted");
    writeFileSync(file, text);
    expect(whereIs(formsOfKey(pem), places())).toEqual(["state/planted"]);
  }
  expect(whereIs(formsOfKey(pem), new Map([["twice", inside]]))).toEqual(["twice"]);
});
