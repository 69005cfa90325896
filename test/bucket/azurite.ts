import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHmac } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "../../build/command.ts";
import { freePort } from "../demo/bind.ts";

/** The account that Azurite has from the start, with the key that its documentation prints. */
export const ACCOUNT = "devstoreaccount1";
const KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/** Microsoft's own emulator, installed once from its lockfile. */
function installed(): string {
  const folder = join(ROOT, ".cache", "azurite");
  const program = join(folder, "node_modules/.bin/azurite-blob");
  if (existsSync(join(folder, "made"))) return program;
  console.log("installing Azurite under .cache/ from npm, once per machine: about a minute");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const name of ["package.json", "package-lock.json"])
    copyFileSync(join(import.meta.dirname, "azurite", name), join(folder, name));
  const words = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  const done = spawnSync("npm", words, { cwd: folder, encoding: "utf8", timeout: 800_000 });
  if (done.status !== 0) throw new Error(`Cannot install Azurite: ${done.error ?? done.stderr}`);
  writeFileSync(join(folder, "made"), "");
  return program;
}

type Headers = Readonly<Record<string, string>>;

/** learn.microsoft.com, Authorize with Shared Key, for Blob Storage from version 2015-02-21 on. */
function sharedKey(method: string, path: string, headers: Headers): string {
  const [resource = "", query = ""] = path.split("?");
  const plain = ["content-encoding", "content-language", "content-length", "content-md5", "content-type"];
  const conditions = ["if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range"];
  const value = (name: string): string =>
    name === "content-length" && headers[name] === "0" ? "" : (headers[name] ?? "");
  const own = Object.keys(headers)
    .filter((name) => name.startsWith("x-ms-"))
    .sort()
    .map((name) => `${name}:${headers[name]}`);
  const asked = [...new URLSearchParams(query)].sort().map(([name, one]) => `\n${name}:${one}`);
  // "Date" is empty: x-ms-date is there.
  const text = [
    method,
    ...plain.map(value),
    "",
    ...conditions.map(value),
    ...own,
    `/${ACCOUNT}${resource}${asked.join("")}`,
  ];
  return `SharedKey ${ACCOUNT}:${createHmac("sha256", Buffer.from(KEY, "base64")).update(text.join("\n")).digest("base64")}`;
}

export type Azurite = {
  /** Asked with the token `Bearer good`, as Azure would be with a managed identity's; any other one gets a 401. */
  readonly endpoint: string;
  /** As the account's owner. */
  owner(method: string, path: string, headers?: Headers, body?: string): Promise<{ status: number; text: string }>;
  stop(): Promise<void>;
};

/**
 * Azurite takes OAuth only over TLS with a public name, so a front of the tests' own stands before it: it takes the token away and signs
 * the same request with the account's key. Nothing else of it is changed.
 */
export async function startAzurite(): Promise<Azurite> {
  const program = installed();
  const folder = mkdtempSync(join(tmpdir(), "reeve-azurite-"));
  const port = await freePort();
  const child: ChildProcess = spawn(
    program,
    ["--silent", "--disableTelemetry", "--inMemoryPersistence", "--blobHost", "127.0.0.1", "--blobPort", String(port)],
    { stdio: "ignore", cwd: folder, env: { PATH: process.env["PATH"] ?? "", HOME: folder } },
  );
  const send = (method: string, path: string, headers: Headers, body: Buffer) =>
    new Promise<{ status: number; headers: Record<string, string | string[] | undefined>; body: Buffer }>(
      (resolve, reject) => {
        const dated: Record<string, string> = {
          ...headers,
          "x-ms-date": new Date().toUTCString(),
          "x-ms-version": headers["x-ms-version"] ?? "2023-11-03",
          "content-length": String(body.length),
        };
        const authorization = sharedKey(method, path, dated);
        const at = {
          host: "127.0.0.1",
          port,
          method,
          path,
          headers: { ...dated, authorization },
          agent: false as const,
        };
        const outgoing = request(at, (incoming) => {
          const chunks: Buffer[] = [];
          incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
          incoming.on("end", () =>
            resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: Buffer.concat(chunks) }),
          );
        });
        outgoing.on("error", reject);
        outgoing.end(body);
      },
    );
  const until = performance.now() + 120_000;
  while ((await send("GET", `/${ACCOUNT}?comp=list`, {}, Buffer.alloc(0)).catch(() => null))?.status !== 200) {
    if (child.exitCode !== null || performance.now() > until) throw new Error("Azurite does not start");
    await Bun.sleep(100);
  }
  const front = createServer(async (incoming, answer) => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const { authorization, host: _, connection: __, ...headers } = incoming.headers;
    if (authorization !== "Bearer good") {
      answer.writeHead(401, { "x-ms-error-code": "InvalidAuthenticationInfo" }).end();
      return;
    }
    const got = await send(incoming.method ?? "", incoming.url ?? "", headers as Headers, Buffer.concat(chunks));
    const { "transfer-encoding": ___, ...rest } = got.headers;
    answer
      .writeHead(got.status, { ...rest, "content-length": String(got.body.length), connection: "close" })
      .end(got.body);
  });
  await new Promise<void>((resolve) => front.listen(0, "127.0.0.1", resolve));
  const { port: frontPort } = front.address() as { port: number };
  return {
    endpoint: `http://127.0.0.1:${frontPort}`,
    async owner(method, path, headers = {}, body = "") {
      const { status, body: text } = await send(method, `/${ACCOUNT}/${path}`, headers, Buffer.from(body));
      return { status, text: text.toString() };
    },
    async stop() {
      front.close();
      const gone = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await gone;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
