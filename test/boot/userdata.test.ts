import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { parseConfig } from "../../agent/config.ts";
import { ROOT } from "../../build/command.ts";
import { loadPolicy } from "../../policy/parse.ts";
import { requireDebian } from "../tools.ts";
import { CLEAN, ended, must, type Ran, ran, until } from "./ran.ts";

const CONTROL = join(ROOT, "dist", "reeve-control");
const SHA256 = "0123456789abcdef".repeat(4);
const folder = mkdtempSync(join(tmpdir(), "reeve-userdata-"));
const path = (name: string): string => join(folder, name);
const BASE = ["--cluster", "prod-eu-1", "--sha256", SHA256];
let pin = "";

beforeAll(async () => {
  requireDebian({ "cloud-init": "cloud-init", python3: "python3" });
  pin = (await must(CONTROL, "keys", "init", "--keys", path("keys"))).trim();
  const at = ["--enrol", "127.0.0.1:0", "--agents", "127.0.0.1:0"];
  const control = spawn(CONTROL, ["serve", "--dir", path("control"), ...at], {
    env: CLEAN,
    stdio: ["ignore", "pipe", "ignore"],
  });
  let said = "";
  control.stdout.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  await until("the control plane has begun", () => (said.includes("\n") ? true : null));
  control.kill("SIGTERM");
  await ended(control);
  const token = await must(
    CONTROL,
    "token",
    "--dir",
    path("control"),
    "--cluster",
    "prod-eu-1",
    "--keys",
    path("keys"),
  );
  writeFileSync(path("token"), token);
  for (const [name, place] of Object.entries(PLACES)) writeFileSync(path(`${name}.policy`), policy(place));
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const PLACES = {
  local: "{ cloud: local }",
  aws: '{ cloud: aws, account: "111122223333", region: eu-west-1 }',
} as const;
const policy = (place: string, more = ""): string =>
  `version: 1\nrevision: 1\ncluster: prod-eu-1\nvendor: vendor.example\nplace: ${place}\npeople: {}\nsigners: {}\nshare: []\ndry_run: refused\nrules: []\n${more}tests: []\n`;
const AWS = 'provider: aws\naws: { account: "111122223333", role: reeve-prod, region: eu-west-1, partition: aws }\n';

const render = (...flags: readonly string[]): Promise<Ran> => ran([CONTROL, "userdata", ...flags]);
/** With a token that was made before, and the local provider. */
const local = (...flags: readonly string[]): Promise<Ran> =>
  render(
    ...BASE,
    "--provider",
    "local",
    "--token",
    path("token"),
    "--trust-sha256",
    pin,
    "--policy",
    path("local.policy"),
    ...flags,
  );

type File = { path: string; permissions: string; content: string; encoding?: string };
/** What cloud-init would write, by file name, read by the library that it reads with itself. */
function filesOf(userData: string): Record<string, string> {
  const program = "import sys, json, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)";
  const read = spawnSync("/usr/bin/python3", ["-c", program], { input: userData, encoding: "utf8", env: CLEAN });
  expect([read.status, read.stderr]).toEqual([0, ""]);
  const theirs = JSON.parse(read.stdout) as { write_files: File[] };
  expect(theirs).toEqual(parse(userData, { version: "1.1" }));
  return Object.fromEntries(
    theirs.write_files.map((file) => [
      file.path.split("/").at(-1) ?? "",
      file.encoding === "b64" ? Buffer.from(file.content, "base64").toString("utf8") : file.content,
    ]),
  );
}

async function schema(userData: string): Promise<Ran> {
  writeFileSync(path("user-data"), userData);
  return ran(["cloud-init", "schema", "--config-file", path("user-data")]);
}

test("the rendered file is valid by cloud-init's schema, for every provider and place of the policy", async () => {
  writeFileSync(path("aws.yaml"), AWS);
  writeFileSync(path("bucket.yaml"), `${AWS}owner: { bucket: "s3://owner-bucket/prod", region: eu-west-1 }\n`);
  writeFileSync(
    path("gcp.yaml"),
    'gcp: { project: acme-prod, account: reeve@acme-prod.iam.gserviceaccount.com, region: europe-west1 }\nowner: { bucket: "gs://owner-bucket/prod" }\n',
  );
  const id = "01234567-89ab-cdef-0123-456789abcdef";
  writeFileSync(
    path("azure.yaml"),
    `azure: { environment: public, tenant: ${id}, subscription: ${id}, resource_group: prod, location: westeurope, principal: ${id}, identity: system }\nowner: { bucket: "azblob://account/container/prod" }\n`,
  );
  const token = ["--token", path("token"), "--trust-sha256", pin];
  const kinds: readonly (readonly string[])[] = [
    [
      "--provider",
      "local",
      "--policy",
      path("local.policy"),
      "--on",
      "--binary",
      "https://files.example/reeve?a=1&b=%20(2)",
    ],
    [
      "--provider",
      "aws",
      "--policy",
      path("aws.policy"),
      "--config",
      path("aws.yaml"),
      "--binary",
      "s3://releases/reeve/0.1.0/reeve",
    ],
    ["--provider", "aws", "--config", path("bucket.yaml"), "--binary", "/opt/reeve"],
    ["--provider", "gcp", "--config", path("gcp.yaml"), "--binary", "gs://releases/reeve"],
    ["--provider", "azure", "--config", path("azure.yaml")],
  ];
  for (const kind of kinds) {
    const made = await render(...BASE, ...token, ...kind);
    expect([kind, made.code]).toEqual([kind, 0]);
    expect(await schema(made.stdout)).toMatchObject({ code: 0, stderr: "" });
    const files = filesOf(made.stdout);
    const config = parseConfig(files["reeve.yaml"] ?? "");
    expect(config).toMatchObject({
      config: { cluster: "prod-eu-1", provider: kind[1] as "aws", control_plane: { trust_sha256: pin } },
    });
    expect(Object.keys(files).includes("policy.yaml")).toBe(kind.includes("--policy"));
    expect(Object.keys(files).includes("on")).toBe(kind.includes("--on"));
    expect(spawnSync("/bin/sh", ["-n"], { input: files["reeve-install"] ?? "false (", env: CLEAN }).status).toBe(0);
  }
}, 120_000);

test("user-data for a first machine that joins by its platform alone says so, for a day; with a token nobody need", async () => {
  const says = (made: Ran): number | undefined => {
    const read = parseConfig(filesOf(made.stdout)["reeve.yaml"] ?? "");
    if (!("config" in read)) throw new Error(made.stderr);
    return read.config.first_until;
  };
  const enrol = ["--enrol", "https://control.example:8443", "--root-sha256", "ab".repeat(32), "--trust-sha256", pin];
  const aws = ["--provider", "aws", "--config", path("aws.yaml"), "--policy", path("aws.policy")];
  const before = Date.now();
  const until = says(await render(...BASE, ...enrol, ...aws, "--first")) ?? 0;
  expect(until).toBeGreaterThan(before + 24 * 3_600_000 - 2000);
  expect(until).toBeLessThanOrEqual(Date.now() + 24 * 3_600_000);
  expect(says(await render(...BASE, ...enrol, ...aws))).toBeUndefined();
  const token = ["--token", path("token"), "--trust-sha256", pin];
  const local = ["--provider", "local", "--policy", path("local.policy")];
  const made = await render(...BASE, ...token, ...local, "--first");
  expect([made.code, made.stderr]).toEqual([2, expect.stringContaining("leave --first out")]);
  const bucket = await render(...BASE, ...enrol, "--provider", "aws", "--config", path("bucket.yaml"), "--first");
  expect([bucket.code, bucket.stderr]).toEqual([
    3,
    expect.stringContaining("log/head in the bucket says who was before"),
  ]);
}, 120_000);

test("the parts in deploy/cloud-init are valid too", async () => {
  const parts = readdirSync(join(ROOT, "deploy", "cloud-init"));
  expect(parts.length).toBeGreaterThan(0);
  for (const part of parts)
    expect(await schema(readFileSync(join(ROOT, "deploy", "cloud-init", part), "utf8"))).toMatchObject({
      code: 0,
      stderr: "",
    });
});

test("both pins are in the config, so that a machine whose token is used up knows whom it proves itself to", async () => {
  const made = await local();
  const { config } = parseConfig(filesOf(made.stdout)["reeve.yaml"] ?? "") as Extract<
    ReturnType<typeof parseConfig>,
    { config: unknown }
  >;
  expect(config.control_plane.trust_sha256).toBe(pin);
  expect(config.control_plane.root_sha256).toMatch(/^[0-9a-f]{64}$/);
  // The control plane's own folder knows both too, and makes the token.
  const there = await render(
    ...BASE,
    "--provider",
    "local",
    "--dir",
    path("control"),
    "--policy",
    path("local.policy"),
  );
  expect(there.code).toBe(0);
  const same = parseConfig(filesOf(there.stdout)["reeve.yaml"] ?? "");
  expect(same).toEqual({ config });
});

test("on a cloud it can hold no secret at all: the machine joins by what its platform shows, and is told both pins", async () => {
  writeFileSync(path("aws.yaml"), AWS);
  const root = "ab".repeat(32);
  const flags = [...BASE, "--enrol", "https://control.vendor.example:8443", "--trust-sha256", pin];
  const aws = ["--provider", "aws", "--config", path("aws.yaml"), "--policy", path("aws.policy")];
  const made = await render(...flags, ...aws, "--root-sha256", root);
  expect(made).toMatchObject({ code: 0, stderr: "" });
  expect(await schema(made.stdout)).toMatchObject({ code: 0 });
  const files = filesOf(made.stdout);
  expect(Object.keys(files)).not.toContain("token");
  const plane = { enrol: "https://control.vendor.example:8443", root_sha256: root, trust_sha256: pin };
  expect(parseConfig(files["reeve.yaml"] ?? "")).toMatchObject({ config: { control_plane: plane } });
  expect((await render(...flags, ...aws)).stderr).toContain("nobody says which control plane is the right one");
  const local = await render(...flags, "--provider", "local", "--policy", path("local.policy"), "--root-sha256", root);
  expect(local.stderr).toContain("a local machine has no platform");
});

test("it goes to stdout, or to a file that only its owner reads; the secret is named on stderr, never shown there", async () => {
  const made = await local();
  const token = readFileSync(path("token"), "utf8").trim();
  expect(made.stdout).toContain(token);
  expect(made.stderr).toContain("warning: it holds a join token for prod-eu-1");
  expect(made.stderr).not.toContain(token.slice(-40));
  expect(await local("--out", path("out"))).toMatchObject({ code: 0, stdout: "" });
  expect(readFileSync(path("out"), "utf8")).toBe(made.stdout);
  expect(statSync(path("out")).mode & 0o777).toBe(0o600);
});

test.each([
  [["--binary", "http://files.example/reeve"], "is neither https://"],
  [["--binary", "https://files.example/reeve' ; touch /tmp/x; '"], "is no URL"],
  [["--binary", "https://files.example/$(id)\nruncmd: [id]"], "is no URL"],
  [["--binary", "https://user:secret@files.example/reeve"], "holds credentials"],
  [["--binary", "https://files.example/reeve#x"], "has a fragment"],
  [["--binary", "https://b.s3.amazonaws.com/reeve?X-Amz-Signature=00"], "is signed"],
  [["--binary", "https://b.s3.amazonaws.com/reeve?a=1&%58-amz-security-token=00"], "is signed"],
  [["--binary", "https://storage.googleapis.com/b/reeve?X-Goog-Signature=00"], "is signed"],
  [["--binary", "https://a.blob.core.windows.net/c/reeve?sv=1&sig=00"], "is signed"],
  [["--binary", "https://b.s3.amazonaws.com/reeve?Expires=1&Signature=00"], "is signed"],
  [["--binary", "https://files.example/\u2028"], "is no URL"],
  [["--binary", "s3://b/$(id)"], "names no object of a bucket"],
  [["--binary", "s3://bucket/a/../reeve"], "names no object of a bucket"],
  [["--binary", "gs://BUCKET/x"], "names no object of a bucket"],
  [["--binary", "/opt/../etc/shadow"], "is no plain absolute path"],
  [["--binary", "/opt/a b"], "is no plain absolute path"],
  [["--binary", "--config=/etc/x"], "is neither https://"],
  [["--sha256", SHA256.toUpperCase()], "--sha256 is no SHA-256"],
  [["--sha256", `${SHA256}\n`], "--sha256 is no SHA-256"],
  [["--cluster", "prod-eu-1\nruncmd: [id]"], "is no cluster's name"],
  [["--cluster", "prod-eu-2"], "the token is for the cluster prod-eu-1"],
  [["--trust-sha256", "x'\n"], "the agent would not take this config: control_plane.trust_sha256"],
  [["--provider", "hetzner"], "Cannot read the command line"],
  [["--provider", "aws"], "provider: aws needs the field aws"],
  [["--enrol", "https://control.vendor.example:8443"], "not exactly one of --token, --dir and --enrol"],
  [["--policy", "/dev/null"], "the policy is refused"],
] as const)(
  "what could mean something else to a shell, to YAML or to the agent is refused: %j",
  async (flags, words) => {
    const refused = await local(...flags);
    expect([refused.stdout, refused.stderr.includes(words) || refused.stderr]).toEqual(["", true]);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain("hint: ");
  },
);

test.each([
  ["token: { file: /etc/passwd }\n", "--config names token"],
  ["state: /tmp\n", "--config names state"],
  ["provider: aws\n", "--config names another provider"],
  ["nonsense: 1\n", "the agent would not take this config"],
  ["a: &x 1\nb: *x\n", "--config is not to be read"],
  ["- a\n", "--config is not to be read"],
  ["owner: { directory: /etc/reeve/owner, uid: 1000 }\n", "is not root's own below /etc"],
  ['owner: { directory: "/etc/a b\'$(id)" }\n', "is not root's own below /etc"],
  ["owner: { directory: /etc/../tmp/x }\n", "is not root's own below /etc"],
])("a config's further fields are the agent's own, and none that the join decides: %j", async (text, words) => {
  writeFileSync(path("more.yaml"), text);
  const refused = await local("--config", path("more.yaml"));
  expect([refused.stdout, refused.stderr.includes(words) || refused.stderr]).toEqual(["", true]);
});

test("what is hostile and still permitted arrives as it is: a group's command, a policy's comment", async () => {
  const words = "$(touch /tmp/x)'\"; #cloud-config\n  - path: /etc/passwd\n%\t`id`\\\n";
  const command = ["/bin/sh", "-c", words, "on", "0x10", "a: 'b' \"c\" #d", "{n}"];
  const inBlock = words.trimEnd().replaceAll(/^/gm, "          ");
  const rest = "        - 'on'\n        - '0x10'\n        - 'a: ''b'' \"c\" #d'\n        - '{n}'\n";
  writeFileSync(
    path("hostile.yaml"),
    `local:\n  groups:\n    brokers:\n      command:\n        - /bin/sh\n        - -c\n        - |\n${inBlock}\n${rest}`,
  );
  const text = policy(PLACES.local, "# \u00e4\u20ac runcmd: [id] - x: 'y' \"$(id)\" `id` \n");
  writeFileSync(path("hostile.policy"), text);
  const made = await local("--config", path("hostile.yaml"), "--policy", path("hostile.policy"));
  expect(made.stderr.split("\n")[0]).toStartWith("warning: ");
  expect(await schema(made.stdout)).toMatchObject({ code: 0 });
  const files = filesOf(made.stdout);
  const parsed = parseConfig(files["reeve.yaml"] ?? "");
  expect("config" in parsed && parsed.config.local.groups["brokers"]?.command).toEqual(command);
  expect(files["policy.yaml"]).toBe(text);
  expect("policy" in loadPolicy(Buffer.from(files["policy.yaml"] ?? ""))).toBe(true);
  // Groups need the drop-in that lets them outlive the agent.
  expect(files["local-groups.conf"]).toContain("TasksMax=infinity");
});

test("the shell takes every place of the executable as one word, whatever is in it", async () => {
  const hostile = "https://files.example/a?x=$HOME&y=(1)*;z=[a-z]!~,%27%60";
  const made = await local("--binary", hostile);
  const script = filesOf(made.stdout)["reeve-install"] ?? "";
  const head = script.slice(0, script.indexOf("\nsay()"));
  const shown = spawnSync("/bin/sh", [], { input: `${head}\nprintf %s "$binary"`, encoding: "utf8", env: CLEAN });
  expect([shown.stdout, shown.status]).toEqual([hostile, 0]);
});

/** What the script places, as root, on a disk below `disk` in place of the machine's own, with uid 65534 for the agent's user. */
async function placed(disk: string): Promise<Ran> {
  const script = filesOf((await local("--on")).stdout)["reeve-install"] ?? "";
  const from = script.indexOf("# Each file is copied");
  const part = script
    .slice(from, script.indexOf("place local-groups.conf"))
    .replaceAll("/etc/reeve", `${disk}/etc`)
    .replaceAll("-o reeve -g reeve", "-o 65534 -g 65534")
    .replaceAll("--reuid=reeve --regid=reeve", "--reuid=65534 --regid=65534");
  expect(from).toBeGreaterThan(0);
  expect(part).toContain("join-token");
  const values = `set -eu; umask 077; stage=${disk}/stage; state=${disk}/state; owner=${disk}/owner`;
  return ran(["/bin/sh", "-c", `${values}\n${part}`]);
}

/** A disk with what cloud-init has written for the script. */
function newDisk(): string {
  const disk = mkdtempSync(join(folder, "disk-"));
  chmodSync(folder, 0o755);
  chmodSync(disk, 0o755);
  mkdirSync(join(disk, "stage"), { mode: 0o700 });
  for (const name of ["token", "policy.yaml", "on", "reeve.yaml"])
    writeFileSync(join(disk, "stage", name), `new ${name}\n`, { mode: 0o600 });
  return disk;
}

const asRoot = test.skipIf(process.getuid?.() !== 0);

asRoot("root places the token in the agent's folder without following what lies there by its name", async () => {
  const disk = newDisk();
  mkdirSync(join(disk, "state"), { mode: 0o700 });
  mkdirSync(join(disk, "roots"), { mode: 0o700 });
  symlinkSync(join(disk, "roots"), join(disk, "state/join-token"));
  expect(await placed(disk)).toMatchObject({ code: 0, stderr: "" });
  expect(readdirSync(join(disk, "roots"))).toEqual([]);
  expect(readFileSync(join(disk, "state/join-token"), "utf8")).toBe("new token\n");
  const stat = lstatSync(join(disk, "state/join-token"));
  expect([stat.isFile(), stat.uid, stat.mode & 0o777]).toEqual([true, 65534, 0o600]);
  // A file of root's behind the link is not touched either.
  rmSync(join(disk, "state/join-token"));
  writeFileSync(join(disk, "roots/file"), "root's");
  symlinkSync(join(disk, "roots/file"), join(disk, "state/join-token"));
  expect((await placed(disk)).code).toBe(0);
  expect(readFileSync(join(disk, "roots/file"), "utf8")).toBe("root's");
});

asRoot("a disk that has a policy keeps it, and an `on` that its owner deleted stays deleted", async () => {
  const disk = newDisk();
  expect(await placed(disk)).toMatchObject({ code: 0, stderr: "" });
  expect(readdirSync(join(disk, "owner")).toSorted()).toEqual(["on", "policy.yaml"]);
  expect(readFileSync(join(disk, "owner/policy.yaml"), "utf8")).toBe("new policy.yaml\n");
  expect(statSync(join(disk, "owner/policy.yaml")).mode & 0o777).toBe(0o644);
  writeFileSync(join(disk, "owner/policy.yaml"), "the owner's\n");
  rmSync(join(disk, "owner/on"));
  expect((await placed(disk)).code).toBe(0);
  expect(readdirSync(join(disk, "owner"))).toEqual(["policy.yaml"]);
  expect(readFileSync(join(disk, "owner/policy.yaml"), "utf8")).toBe("the owner's\n");
});

test("Python follows a redirect to https, and to nothing else", async () => {
  requireDebian({ openssl: "openssl" });
  const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  const files = ["-keyout", path("tls.key"), "-out", path("tls.crt")];
  await must("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", ...names, ...files);
  const asked: string[] = [];
  const plain = Bun.serve({ port: 0, fetch: () => new Response(String(asked.push("plain"))) });
  const server = Bun.serve({
    port: 0,
    tls: { key: Bun.file(path("tls.key")), cert: Bun.file(path("tls.crt")) },
    fetch(request, { port }) {
      const to = new URL(request.url).pathname;
      if (to === "/file") return new Response("the file");
      return Response.redirect(to === "/down" ? `http://localhost:${plain.port}/` : `https://localhost:${port}/file`);
    },
  });
  try {
    const script = filesOf((await local("--binary", "https://files.example/reeve")).stdout)["reeve-install"] ?? "";
    const program = /-c '(import [^']+)' "\$binary"/.exec(script)?.[1] ?? "";
    const fetched = (to: string) =>
      ran([
        ...["/usr/bin/env", `SSL_CERT_FILE=${path("tls.crt")}`, "/usr/bin/python3", "-c", program],
        ...[`https://localhost:${server.port}${to}`, path("fetched")],
      ]);
    expect(await fetched("/over")).toMatchObject({ code: 0, stderr: "" });
    expect(readFileSync(path("fetched"), "utf8")).toBe("the file");
    expect((await fetched("/down")).code).toBe(1);
    expect(asked).toEqual([]);
  } finally {
    await Promise.all([server.stop(true), plain.stop(true)]);
  }
}, 60_000);

test("no fetch goes on for ever", async () => {
  const script = filesOf((await local("--binary", "https://files.example/reeve")).stdout)["reeve-install"] ?? "";
  const body = script.slice(
    script.indexOf("case $with in\n    curl"),
    script.indexOf("\n)\n", script.indexOf("fetch() (")),
  );
  const programs = body
    .split("\n")
    .filter((line) => /^\s+(?:\S+\) )?(?:\$limit )?(?:curl|"\$with"|aws|gcloud|gsutil) /.test(line));
  expect(programs.length).toBe(5);
  expect(programs.filter((line) => !line.includes("$limit "))).toEqual([]);
  expect(script).toContain("limit='timeout -k 10 900'");
});

test("a machine without the program for a bucket says so before it touches anything", async () => {
  for (const [place, program] of [
    ["s3://releases/reeve", "aws"],
    ["gs://releases/reeve", "gsutil"],
  ] as const) {
    const script = filesOf((await local("--binary", place)).stdout)["reeve-install"] ?? "";
    const bare = script.replace(/^export .*$/m, "PATH=/nonexistent");
    expect(bare).not.toBe(script);
    const ended = spawnSync("/bin/sh", [], { input: bare, encoding: "utf8", env: CLEAN });
    expect(ended).toMatchObject({ status: 1, stdout: "" });
    expect(ended.stderr).toStartWith(
      `error: Cannot fetch ${place}: this machine has no program for it (${program}). Nothing was placed.\nhint: `,
    );
  }
});

test("over 16 KiB, which is what AWS takes, it is refused, and the hint says what to do", async () => {
  writeFileSync(path("long.policy"), policy(PLACES.local, `${`# ${"why ".repeat(18)}\n`.repeat(110)}`));
  const place = await local("--binary", `https://files.example/${"x".repeat(2050)}`);
  expect(place.stderr).toContain("is over 2048 characters");
  const refused = await local("--policy", path("long.policy"));
  expect(refused).toMatchObject({ code: 1, stdout: "" });
  expect(refused.stderr).toMatch(/it has \d{5} bytes, and AWS takes 16384 at most\.\nhint: .*bucket/);
});

test("a machine that would have no policy, or one for another place, or a bucket and a policy, is refused", async () => {
  const base = [...BASE, "--token", path("token"), "--trust-sha256", pin];
  const none = await render(...base, "--provider", "local");
  expect(none.stderr).toContain("the machine would have no policy");
  const elsewhere = await render(...base, "--provider", "local", "--policy", path("aws.policy"));
  expect(elsewhere.stderr).toContain("the policy is for another place than the config");
  writeFileSync(path("both.yaml"), `${AWS}owner: { bucket: "s3://owner-bucket/prod", region: eu-west-1 }\n`);
  const both = await render(...base, "--provider", "aws", "--config", path("both.yaml"), "--on");
  expect(both.stderr).toContain("the owner's folder is a bucket");
  const nobody = await render(
    ...BASE,
    "--provider",
    "local",
    "--token",
    path("token"),
    "--policy",
    path("local.policy"),
  );
  expect(nobody.stderr).toContain("nobody says whose commands the machine takes");
  expect([none, elsewhere, both, nobody].map(({ stdout }) => stdout)).toEqual(["", "", "", ""]);
});
