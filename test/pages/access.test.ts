import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openAuthority } from "../../control/ca.ts";
import { pemOf } from "../control/client.ts";
import { addCluster } from "../control/planWorld.ts";
import { CONTROL, ran } from "../e2e/world.ts";
import { AS_MARIA, endPages, filled, HEADER, type Paged, paged, people, raw, scratch } from "./stage.ts";

setDefaultTimeout(240_000);
afterAll(endPages);
const NOBODY = ["--pages", "127.0.0.1:0"];
const secret = (): Promise<string> => filled((sql) => addCluster(sql, "hidden-eu-1", { policy: null }));
const started = (dir: string, ...flags: string[]) =>
  ran(CONTROL, "serve", "--dir", dir, "--enrol", "127.0.0.1:0", "--agents", "127.0.0.1:0", ...flags);

test("without a flag there is no page, and no flag but one pair of them makes one", async () => {
  const dir = await secret();
  const plain = await paged(dir, []);
  expect(plain.ready.pages).toBeUndefined();
  await plain.stop();
  const { ca } = people();
  for (const [flags, words] of [
    [NOBODY, "nothing says who may see them"],
    [["--pages-proxy", HEADER], "there is no --pages"],
    [[...NOBODY, "--pages-proxy", HEADER, "--pages-ca", ca], "stand there both"],
    [["--pages", "0.0.0.0:0", "--pages-proxy", HEADER], "not this machine's loopback"],
    [["--pages", "localhost:0", "--pages-proxy", HEADER], "not this machine's loopback"],
    [["--pages", "10.0.0.1:0", "--pages-proxy", HEADER], "not this machine's loopback"],
    [[...NOBODY, "--pages-proxy", "Host"], "does not say who asks"],
    [[...NOBODY, "--pages-proxy", "X-Forwarded-For"], "does not say who asks"],
    [[...NOBODY, "--pages-proxy", "a b"], "no header's name"],
    [["--pages", "unix:/tmp/x", "--pages-ca", ca], "no TLS"],
    [["--pages", "nowhere", "--pages-ca", ca], "not HOST:PORT"],
  ] as const) {
    const done = started(dir, ...flags);
    expect([flags.join(" "), done.code]).toEqual([flags.join(" "), 2]);
    expect(done.stderr).toContain(words);
    expect(done.stderr).toContain("hint: ");
  }
});

test("a CA that is an agents' root, of one, no CA, or nothing that can be read, is refused before anything listens", async () => {
  const dir = await secret();
  const first = await paged(dir, []);
  await first.stop();
  const { person, ca } = people();
  const empty = join(scratch(), "empty.pem");
  writeFileSync(empty, "nothing\n");
  const both = join(scratch(), "both.pem");
  writeFileSync(both, readFileSync(ca, "utf8") + readFileSync(join(dir, "ca/root.pem"), "utf8"));
  for (const [file, words] of [
    [join(dir, "ca/root.pem"), "agents' root"],
    [both, "agents' root"],
    [join(dir, "ca/server.pem"), "is no CA"],
    [person("maria").cert, "is no CA"],
    [empty, "holds no certificate"],
    [join(dir, "nowhere.pem"), "ENOENT"],
  ] as const) {
    const done = started(dir, "--pages", "127.0.0.1:0", "--pages-ca", file);
    expect([words, done.code]).toEqual([words, 3]);
    expect(done.stderr).toContain(words);
  }
});

test("with a CA only its people see the fleet: no certificate, an agents' one and a workload's one see nothing", async () => {
  const dir = await secret();
  const { ca, person } = people();
  const [maria, workload] = [person("maria"), person("job", "URI:spiffe://vendor.example/cluster/hidden-eu-1/agent")];
  const served = await paged(dir, ["--pages", "127.0.0.1:0", "--pages-ca", ca]);
  const root = readFileSync(join(dir, "ca/root.pem"), "utf8");
  const ask = async (pair: { cert: string; key: string } | null, path = "/api/fleet", method = "GET") => {
    const own = pair === null ? {} : { cert: readFileSync(pair.cert, "utf8"), key: readFileSync(pair.key, "utf8") };
    const tls = { ca: root, rejectUnauthorized: true, ...own };
    // A handshake that the other side refuses is an error here, and none of its words are wanted.
    return fetch(`https://${served.ready.pages}${path}`, { method, tls, keepalive: false, headers: AS_MARIA }).then(
      async (answer) => ({ status: answer.status, text: await answer.text() }),
      () => ({ status: 0, text: "" }),
    );
  };
  const seen = await ask(maria);
  expect([seen.status, seen.text.includes("hidden-eu-1")]).toEqual([200, true]);
  for (const method of ["POST", "PUT", "DELETE", "PATCH"]) expect((await ask(maria, "/", method)).status).toBe(405);
  // By the very root that `serve` issues agents' certificates with: TLS stops before any byte is read.
  const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const authority = await openAuthority(dir, ["127.0.0.1"]);
  const id = "spiffe://vendor.example/cluster/hidden-eu-1/agent";
  const { chain } = await authority.issue(id, pair.publicKey.export({ type: "spki", format: "der" }));
  const own = { cert: join(dir, "agent.pem"), key: join(dir, "agent.key") };
  writeFileSync(own.cert, chain.map(pemOf).join(""));
  writeFileSync(own.key, pair.privateKey.export({ type: "pkcs8", format: "pem" }));
  for (const [who, status] of [
    [null, 0],
    [own, 0],
    [workload, 403],
  ] as const) {
    const answer = await ask(who);
    expect([who, answer.status, answer.text.includes("hidden")]).toEqual([who, status, false]);
  }
  await served.stop();
});

function portOf(served: Paged): { host: string; port: number } {
  return { host: "127.0.0.1", port: Number(served.ready.pages.split(":")[1]) };
}

test("behind a proxy the header must name one person, the Host must be ours, and only GET and HEAD are taken", async () => {
  const served = await paged(await secret());
  const at = portOf(served);
  const host = `Host: 127.0.0.1:${at.port}`;
  const maria = `${HEADER}: maria`;
  const get = (...lines: string[]) => raw(at, ["GET /api/fleet HTTP/1.1", ...lines]);
  for (const good of [host, `Host: localhost:${at.port}`, `Host: [::1]:${at.port}`]) {
    const answer = await get(good, maria);
    expect([good, answer.startsWith("HTTP/1.1 200"), answer.includes("hidden-eu-1")]).toEqual([good, true, true]);
    expect(answer.toLowerCase()).toContain("content-security-policy: default-src 'none'");
  }
  for (const [lines, status] of [
    [[host], 401],
    [[host, `${HEADER}:`], 401],
    [[host, `${HEADER}:   `], 401],
    [[host, maria, maria], 401],
    [[host, maria, `${HEADER.toUpperCase()}: eve`], 401],
    [[host, `${HEADER}: ${"m".repeat(300)}`], 401],
    [[`Host: evil.example:${at.port}`, maria], 421],
    [["Host: 127.0.0.1", maria], 421],
    [[`Host: 127.0.0.1.evil.example:${at.port}`, maria], 421],
    [[host, maria, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"], 403],
    [[host, maria, "Sec-Fetch-Site: same-site", "Sec-Fetch-Mode: cors"], 403],
  ] as const) {
    const answer = await get(...lines);
    expect([lines.join(" | "), answer.slice(0, 12)]).toEqual([lines.join(" | "), `HTTP/1.1 ${status}`]);
    expect(answer).not.toContain("hidden");
    expect(answer.toLowerCase()).toContain("content-security-policy: default-src 'none'");
  }
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
    const answer = await raw(at, [`${method} / HTTP/1.1`, host, maria, "Content-Length: 0"]);
    expect([method, answer.slice(0, 12)]).toEqual([method, "HTTP/1.1 405"]);
  }
  const head = await raw(at, ["HEAD / HTTP/1.1", host, maria]);
  expect(head).toStartWith("HTTP/1.1 200");
  expect(head.split("\r\n\r\n")[1]).toBe("");
  const link = await get(host, maria, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate");
  expect(link).toStartWith("HTTP/1.1 200");
  for (const path of ["/nothing", "/cluster/nobody", "/..%2f..%2fetc%2fpasswd", "/page.css/x"])
    expect([path, (await served.get(path)).status]).toEqual([path, 404]);
  for (const query of ["state=wrong", "page=0", "page=x", `name=${"n".repeat(65)}`])
    expect([query, (await served.get(`/api/fleet?${query}`)).status]).toEqual([query, 400]);
  await served.stop();
});

test("a unix socket is for the proxy's group alone; one that a killed server left is taken over, one that answers is not", async () => {
  const dir = await secret();
  const path = join(scratch(), "pages.sock");
  const flags = ["--pages", `unix:${path}`, "--pages-proxy", HEADER];
  const killed = await paged(dir, flags);
  const held = started(await secret(), ...flags);
  expect([held.code, held.stderr.includes("EADDRINUSE")]).toEqual([5, true]);
  await killed.stop("SIGKILL");
  expect(existsSync(path)).toBe(true);
  const served = await paged(dir, flags);
  expect(served.ready.pages).toBe(`unix:${path}`);
  expect(statSync(path).mode & 0o777).toBe(0o660);
  const get = (...lines: string[]) => raw({ path }, ["GET /api/fleet HTTP/1.1", ...lines]);
  expect(await get("Host: localhost", `${HEADER}: maria`)).toContain("hidden-eu-1");
  expect(await get("Host: evil.example", `${HEADER}: maria`)).toStartWith("HTTP/1.1 421");
  expect(await get("Host: localhost")).toStartWith("HTTP/1.1 401");
  await served.stop();
  expect(existsSync(path)).toBe(false);
});
