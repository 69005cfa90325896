import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { REEVE, send, type World, writePolicy } from "../e2e/world.ts";
import { requireDebian } from "../tools.ts";
import { AGENT, AS_AGENT, asIf, having, tokenOf, worldOfTwo } from "./looked.ts";

requireDebian({ tar: "tar", setpriv: "util-linux", openssl: "openssl" });

const LONG = 120_000;
let w: World;
let folder = "";
/** Each secret place, with what was planted or made there. */
const secrets = new Map<string, string>();

function archive(name: string, before: readonly string[] = [], env: Record<string, string> = {}) {
  const file = join(folder, name);
  const [program = "", ...args] = [...before, REEVE, "doctor", "--config", w.config, "--bundle", file];
  const done = spawnSync(program, args, { env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", ...env }, encoding: "utf8" });
  return { file, code: done.status, stdout: done.stdout, stderr: done.stderr };
}

/** What Debian's tar takes out of it, by name. */
function unpacked(file: string): Map<string, string> {
  const into = mkdtempSync(join(folder, "x-"));
  const done = spawnSync("tar", ["-xf", file, "-C", into], { encoding: "utf8" });
  expect([done.status, done.stderr]).toEqual([0, ""]);
  return new Map(readdirSync(into).map((name) => [name, readFileSync(join(into, name), "latin1")]));
}

/** Bytes as they are, and as JSON and base64 would carry them. */
function forms(secret: string): string[] {
  const lines = secret.split("\n").filter((text) => text.length >= 16 && !text.startsWith("-----"));
  return [
    ...lines,
    Buffer.from(secret).toString("base64"),
    Buffer.from(secret).toString("base64url"),
    Buffer.from(secret).toString("hex"),
  ];
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "reeve-support-"));
  chmodSync(folder, 0o777);
  w = await worldOfTwo();
  secrets.set("the join token", readFileSync(tokenOf(w), "utf8"));
  w.startAgent(...AS_AGENT);
  await w.until("ready", () => w.reeve(["status"], "--json").code === 0);
  expect(send(w, "scale", "--group", "brokers", "--count", "1").code).toBe(0);
  const marker = (what: string): string => `MARKER-${what}-${"q".repeat(24)}`;
  const plant = (what: string, path: string, text = marker(what)): void => {
    writeFileSync(path, text, { mode: 0o600 });
    chownSync(path, AGENT, AGENT);
    secrets.set(what, text.trim());
  };
  const at = (name: string): string => join(w.folder, name);
  plant("a join token left behind", tokenOf(w), w.vendor("token", "--cluster", "prod-eu-1").stdout.trim());
  plant("the TSIG secret", at("tsig"), Buffer.from(marker("tsig")).toString("base64"));
  plant("the proxy's credentials", at("credentials"), `reeve:${marker("proxy")}`);
  secrets.set("the proxy's password", marker("proxy"));
  mkdirSync(at("state/details"), { recursive: true });
  plant("others' own words", at("state/details/words"));
  plant("a requester's key in the CSR folder", at("csr/broker.key"));
  plant("a certificate request", at("csr/broker.csr"));
  plant("a certificate request in the state", at("state/csr.csr"));
  plant("a key of the owner's", join(w.owner, "private.key"));
  secrets.set("the authority's key", readFileSync(at("authority/ca.key"), "utf8"));
  const identity = JSON.parse(readFileSync(at("state/identity/agent.json"), "utf8")) as Record<string, unknown>;
  secrets.set("the log's key", identity["log_key"] as string);
  secrets.set("the certificate's key", (identity["current"] as { key: string }).key);
  secrets.set("an argument of a group's command", marker("argument"));
  secrets.set("a comment in the config", marker("comment"));
  secrets.set("a probe's URL", marker("url"));
  const config = readFileSync(w.config, "utf8")
    .replace(
      '"{n}"]',
      `"{n}", "--password=${marker("argument")}"], health: { probe: http, url: "http://127.0.0.1:9/?t=${marker("url")}", plus_n: false }`,
    )
    .replace(
      /zones: .*/,
      `zones: { example.com: { server: "127.0.0.1:9", tsig: { name: k, algorithm: hmac-sha256, secret_file: ${at("tsig")} } } } # ${marker("comment")}`,
    );
  writeFileSync(
    w.config,
    `${config}egress: { proxy: { url: "http://127.0.0.1:9", credentials_file: ${at("credentials")} } }\n`,
  );
  secrets.set("the environment", marker("environment"));
}, LONG);
afterAll(async () => {
  await w?.end();
  rmSync(folder, { recursive: true, force: true });
}, LONG);

describe("the support archive", () => {
  test(
    "holds none of the secrets that lie in every secret place, as root and as the agent's user",
    () => {
      const environment = { REEVE_SECRET: secrets.get("the environment") ?? "", CREDENTIALS_DIRECTORY: "/nowhere" };
      expect(secrets.size).toBe(17);
      for (const [name, before] of [
        ["as-root.tar", []],
        ["as-agent.tar", AS_AGENT],
      ] as const) {
        const made = archive(name, before, environment);
        expect(made.stderr).toContain("wrote ");
        const bytes = readFileSync(made.file, "latin1");
        expect(bytes.length).toBeGreaterThan(10_000);
        for (const [what, secret] of secrets) {
          const looked = forms(secret);
          expect(looked.length).toBeGreaterThan(3);
          for (const form of looked)
            expect([what, `${bytes}${made.stdout}${made.stderr}`.includes(form)]).toEqual([what, false]);
        }
        expect(bytes).not.toContain("PRIVATE KEY");
        expect(bytes).not.toContain("MARKER");
      }
    },
    LONG,
  );

  test("the search would find them: what is in the archive is found by it", () => {
    const made = archive("found.tar");
    const chain = unpacked(made.file).get("certificates.pem") ?? "";
    const lines = forms(chain).filter((form) => readFileSync(made.file, "latin1").includes(form));
    expect(lines.length).toBeGreaterThan(5);
  });

  test("says for each file why it is there, with its size and digest, and what was left out", () => {
    const made = archive("manifest.tar");
    const files = unpacked(made.file);
    const manifest = files.get("MANIFEST") ?? "";
    const names = [...files.keys()].filter((name) => name !== "MANIFEST").sort();
    expect(names).toEqual([
      "certificates.pem",
      "config.json",
      "doctor.json",
      "doctor.txt",
      "files.txt",
      "log-head.txt",
      "log-newest.jsonl",
      "status.json",
      "system.json",
      "trust.txt",
    ]);
    for (const name of names) {
      const digest = new Bun.CryptoHasher("sha256").update(Buffer.from(files.get(name) ?? "", "latin1")).digest("hex");
      expect(manifest).toMatch(
        new RegExp(`\\n${name.replace(".", "\\.")}\\n {2}\\d+ bytes, sha256:${digest}\\n {2}\\S.{10,}\\n`),
      );
    }
    expect(manifest).toContain("policy.yaml: the policy does not share itself");
    expect(manifest).toContain("Never in it: private keys, join tokens, TSIG secrets");
    expect(files.get("doctor.txt")).toContain(" fail\n");
    expect(
      (files.get("log-newest.jsonl") ?? "")
        .trim()
        .split("\n")
        .map((text) => (JSON.parse(text) as { kind: string }).kind),
    ).toContain("intent");
    expect(files.get("log-head.txt")).toContain("/epoch/1\n");
  });

  test("the policy is in it when it shares itself with the vendor, and only then", async () => {
    const path = join(w.owner, "policy.yaml");
    const text = readFileSync(path, "utf8");
    await having(path, text.replace("share: []", "share: [policy]"), () => {
      expect(unpacked(archive("shared.tar").file).get("policy.yaml")).toContain("share: [policy]");
    });
    expect(unpacked(archive("unshared.tar").file).has("policy.yaml")).toBe(false);
    writePolicy(w, text.slice(text.indexOf("rules:\n") + 7, text.indexOf("tests:")).trimEnd(), 1);
  });

  test("what bears the mark of a private key is left out whatever file it stands in, and the MANIFEST says so", async () => {
    const path = join(w.owner, "policy.yaml");
    const text = readFileSync(path, "utf8").replace("share: []", "share: [policy]");
    await having(path, `# -----BEGIN PRIVATE KEY-----\n${text}`, () => {
      const files = unpacked(archive("marked.tar").file);
      expect(files.has("policy.yaml")).toBe(false);
      expect(files.get("MANIFEST")).toContain("policy.yaml: it bears the mark of a private key or of a join token");
    });
  });

  test("is 0600, and does not overwrite: a file, a link and a link to nothing stay as they are", () => {
    const made = archive("mode.tar");
    expect(statSync(made.file).mode & 0o7777).toBe(0o600);
    const before = readFileSync(made.file);
    const again = archive("mode.tar");
    expect([again.code, again.stdout]).toEqual([2, ""]);
    expect(again.stderr).toBe(
      `error: Cannot write the support archive: ${made.file} is there already.\nhint: Name a file that is not.\n`,
    );
    expect(readFileSync(made.file).equals(before)).toBe(true);
    spawnSync("ln", ["-s", join(folder, "elsewhere"), join(folder, "link.tar")]);
    expect(archive("link.tar").code).toBe(2);
    expect(existsSync(join(folder, "elsewhere"))).toBe(false);
  });

  test("cannot be written where the one who started doctor may not: exit 4; root may, although files are read with the agent's rights", () => {
    const refused = asIf(folder, { mode: 0o755 }, () => archive("refused.tar", AS_AGENT));
    expect([refused.code, existsSync(refused.file)]).toEqual([4, false]);
    expect(refused.stderr).toContain("hint: Name a file in a folder that you can write");
    const root = asIf(folder, { mode: 0o700 }, () => archive("root.tar"));
    expect(existsSync(root.file)).toBe(true);
    expect(statSync(root.file).uid).toBe(0);
  });

  test("without a config there is still one, which says why there is no more in it", async () => {
    const file = join(folder, "none.tar");
    const done = spawnSync(REEVE, ["doctor", "--config", "/nowhere.yaml", "--bundle", file], {
      env: {},
      encoding: "utf8",
    });
    expect(done.status).toBe(1);
    expect([...unpacked(file).keys()].sort()).toEqual(["MANIFEST", "doctor.json", "doctor.txt", "system.json"]);
  });
});
