import { type ChildProcessByStdio, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { Manifest, manifestText, readManifest } from "../../agent/wire/manifest.ts";
import { keepManifest } from "../../control/manifest/inventory.ts";
import { openSqlite } from "../../control/sqlite.ts";
import { nowSeconds, type Sql } from "../../control/store.ts";
import { CONTROL, ran } from "../e2e/world.ts";

/** The compiled control plane with pages, on a store that a test has filled, and who asks it. */
export const HEADER = "x-forwarded-user";
export const AS_MARIA = { [HEADER]: "maria@vendor.example" } as const;
export type Paged = {
  readonly dir: string;
  /** What `serve` printed. */
  readonly ready: Readonly<Record<"enrol" | "agents" | "pages", string>>;
  readonly origin: string;
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<Response>;
  stop(signal?: "SIGTERM" | "SIGKILL"): Promise<void>;
};
const living = new Set<ChildProcessByStdio<null, Readable, Readable>>();
const folders: string[] = [];

/** For the end of a file: no server outlives it, and no folder. */
export async function endPages(): Promise<void> {
  for (const child of living) {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
  }
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
}

export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), "reeve-pages-"));
  folders.push(folder);
  return folder;
}

/** A control plane's folder with this in its store, before it was ever started. */
export async function filled(fill: (sql: Sql) => Promise<void>): Promise<string> {
  const dir = join(scratch(), "control");
  mkdirSync(dir, { mode: 0o700 });
  const store = await openSqlite(join(dir, "state.db"));
  await store.transaction(fill);
  store.close();
  return dir;
}

/** `serve` with these flags for its pages; behind a proxy where none are given. */
export async function paged(
  dir: string,
  flags: readonly string[] = ["--pages", "127.0.0.1:0", "--pages-proxy", HEADER],
): Promise<Paged> {
  if (!existsSync(CONTROL)) throw new Error("dist/reeve-control is not there: bun run build");
  const words = ["serve", "--dir", dir, "--enrol", "127.0.0.1:0", "--agents", "127.0.0.1:0", ...flags];
  const child = spawn(CONTROL, words, { env: {}, stdio: ["ignore", "pipe", "pipe"] });
  living.add(child);
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.once("exit", () => living.delete(child));
  const ready = JSON.parse(await firstLine(child, ended)) as Paged["ready"];
  const origin = `http://${ready.pages}`;
  return {
    dir,
    ready,
    origin,
    get: (path, headers = AS_MARIA) => fetch(`${origin}${path}`, { headers, keepalive: false, redirect: "error" }),
    async stop(signal = "SIGTERM") {
      child.kill(signal);
      await ended;
    },
  };
}

async function firstLine(child: ChildProcessByStdio<null, Readable, Readable>, ended: Promise<void>): Promise<string> {
  let [out, err] = ["", ""];
  child.stderr.on("data", (bytes: Buffer) => {
    err += bytes.toString();
  });
  const line = new Promise<string>((resolve) => {
    child.stdout.on("data", (bytes: Buffer) => {
      out += bytes.toString();
      if (out.includes("\n")) resolve(out.split("\n")[0] ?? "");
    });
  });
  const first = await Promise.race([line, ended.then(() => null)]);
  if (first === null) throw new Error(`reeve-control serve ended: ${err}`);
  return first;
}

/** What comes back for these very lines: a client library would mend them. */
export function raw(at: { host: string; port: number } | { path: string }, lines: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(at as never, () => socket.write(`${[...lines, "Connection: close"].join("\r\n")}\r\n\r\n`));
    let text = "";
    socket.on("data", (bytes) => {
      text += bytes.toString();
    });
    socket.on("close", () => resolve(text));
    socket.on("error", reject);
  });
}

export type People = { readonly ca: string; person(name: string, more?: string): { cert: string; key: string } };

/** A CA of the vendor's people, by openssl, and certificates of theirs. `more`: what stands in `subjectAltName`. */
export function people(): People {
  const folder = scratch();
  const path = (name: string): string => join(folder, name);
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const openssl = (...words: string[]): void => {
    const made = ran("openssl", ...words);
    if (made.code !== 0) throw new Error(`openssl ${words[0]}: ${made.stderr}`);
  };
  openssl(
    "req",
    "-x509",
    ...key,
    "-keyout",
    path("ca.key"),
    "-out",
    path("ca.pem"),
    "-days",
    "30",
    "-subj",
    "/CN=people",
  );
  return {
    ca: path("ca.pem"),
    person(name, more = `email:${name}@vendor.example`) {
      const [cert, secret] = [path(`${name}.pem`), path(`${name}.key`)];
      writeFileSync(path("ext"), `extendedKeyUsage=clientAuth\nsubjectAltName=${more}\n`);
      openssl("req", ...key, "-keyout", secret, "-out", path("csr"), "-subj", `/CN=${name}`);
      const by = ["-CA", path("ca.pem"), "-CAkey", path("ca.key"), "-CAcreateserial", "-extfile", path("ext")];
      openssl("x509", "-req", "-in", path("csr"), ...by, "-days", "10", "-out", cert);
      return { cert, key: secret };
    },
  };
}

/** A manifest of one image with these packages, kept as a cluster's newest. */
export async function keep(sql: Sql, cluster: string, packages: readonly string[], says = "4.2.0"): Promise<void> {
  const manifest = Manifest.parse({
    type: "reeve-manifest",
    v: 1,
    says,
    content: {
      agent: null,
      version: "4.2.0",
      images: [{ name: "broker", digest: `sha256:${"a".repeat(64)}`, packages: [...packages].sort() }],
    },
    parameters: {
      cluster,
      place: { cloud: "aws", account: "1", region: "r" },
      ...{ images: {}, groups: {}, zones: [], authorities: [], names: [], policy: null },
    },
  });
  const text = manifestText(manifest);
  const read = readManifest(text);
  if ("fault" in read) throw new Error(read.fault);
  const signature = Buffer.alloc(68, 1).toString("base64");
  const note = `${text}\n\u2014 vendor.example/release-2026 ${signature}\n`;
  await keepManifest(sql, { manifest, digest: read.digest, note }, "release@vendor.example", says);
}

export type CommandLike = {
  readonly state: string;
  readonly by?: string;
  readonly why?: string;
  readonly code?: string;
  readonly line?: string;
  readonly group?: string;
};

/** A command as `send` puts it into the store; nobody looks at its signature here. */
export async function ask(sql: Sql, cluster: string, like: CommandLike): Promise<string> {
  const id = Bun.randomUUIDv7();
  const now = nowSeconds();
  const claims = {
    ...{ iss: "vendor.example", aud: `spiffe://vendor.example/cluster/${cluster}/agent`, jti: id, iat: now },
    ...{
      exp: now + 3600,
      epoch: 1,
      by: like.by ?? "maria@vendor.example",
      why: like.why ?? "INC-4312",
      dry_run: false,
    },
    ...{ action: "scale", args: { group: like.group ?? "brokers", count: 3 } },
  };
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  await sql.run(
    `insert into commands (id, cluster, epoch, resource, jws, digest, exp, state, code, cancel, replay, line)
     values ($1, $2, 1, $3, $4, $5, $6, $7, $8, 0, 0, $9)`,
    ...[id, cluster, "group:brokers", `${part({ kid: "k" })}.${part(claims)}.c2ln`, id, now + 3600, like.state],
    like.code ?? null,
    like.line ?? null,
  );
  return id;
}
