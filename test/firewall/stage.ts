import { type ChildProcess, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CONTROL, type Ran, REEVE, ran } from "../e2e/world.ts";
import { cable, type Namespace, namespace, removeAll } from "./namespaces.ts";

/** Addresses: each cable is a network of its own, so that nobody but the agent reaches the control plane. */
const PLANE = "10.77.1.2";
const WORK = "10.77.2.2";
/** The workload, as its users see it. */
export const SHOP = "10.77.3.2";
const CONTROL_NAME = "control.vendor.example";
export const SHOP_NAME = "www.prod-eu-1.example.com";
const PORTS = { enrol: 8443, agents: 8444 } as const;
const SHOP_PORT = 8600;

export const POLICY = `version: 1
revision: 1
cluster: prod-eu-1
vendor: vendor.example
place: { cloud: local }
people: {}
signers: {}
share: []
dry_run: allowed
rules:
  - id: brokers-scale
    why: Follow the load.
    allow: scale
    group: brokers
    count: { min: 0, max: 3 }
    change: { up: 3, down: 3 }
    rate: 3 per day
    when: always
    approval: none
  - id: broker-certificates
    why: TLS between brokers.
    allow: issue-certificate
    authority: clients
    names: { below: prod-eu-1.example.com }
    key: { made: in-cluster, type: [P-256] }
    usages: [server]
    validity: { min: 1h, max: 30d }
    rate: 20 per day
    when: always
    approval: none
  - id: broker-dns
    why: Clients find brokers by name.
    allow: update-dns
    zone: example.com
    changes: [create, replace]
    names: { below: prod-eu-1.example.com }
    types: [A]
    values: { within: [10.77.0.0/16] }
    ttl: { min: 30s, max: 1h }
    rate: 60 per hour
    when: always
    approval: none
tests: []
`;

export type Status = {
  readonly state: string;
  readonly out_of_contact: { readonly since: string; readonly reason: string } | null;
  readonly last_contact: string | null;
};
export type Load = { readonly served: number; readonly lost: number; readonly why: string };
export type Stage = Awaited<ReturnType<typeof stage>>;

/** A small file system of its own for the control plane's state, so that its disk alone can be full. */
function small(folder: string): void {
  mkdirSync(folder, { mode: 0o700 });
  const done = spawnSync("mount", ["-t", "tmpfs", "-o", "size=24m,mode=700", "reeve-test", folder], {
    encoding: "utf8",
  });
  if (done.status !== 0) throw new Error(`mount: ${done.stderr}`);
}

/** Also those of earlier tests that were killed. */
function unmountAll(): void {
  for (const line of readFileSync("/proc/mounts", "utf8").split("\n")) {
    const [device, at = ""] = line.split(" ");
    const pid = /\/reeve-firewall-(\d+)-/.exec(at)?.[1];
    if (device !== "reeve-test" || pid === undefined) continue;
    if (Number(pid) === process.pid || !existsSync(`/proc/${pid}`)) spawnSync("umount", ["-l", at]);
  }
}

/** Vendor, customer, workload and its users, each in a network namespace of its own. `end` leaves nothing behind. */
export async function stage() {
  removeAll();
  unmountAll();
  const folder = mkdtempSync(join(tmpdir(), `reeve-firewall-${process.pid}-`));
  const path = (name: string): string => join(folder, name);
  const [plane, agent, work, users] = ["plane", "agent", "work", "users"].map(namespace) as [
    Namespace,
    Namespace,
    Namespace,
    Namespace,
  ];
  cable(agent, plane, { a: ["vendor", "10.77.1.1"], b: ["customer", PLANE] });
  cable(agent, work, { a: ["inside", "10.77.2.1"], b: ["agent", WORK] });
  cable(users, work, { a: ["shop", "10.77.3.1"], b: ["users", SHOP] });
  const name = (known: boolean): void =>
    agent.etc("hosts", `127.0.0.1 localhost\n${known ? `${PLANE} ${CONTROL_NAME}\n` : ""}`);
  name(true);
  agent.etc("resolv.conf", `nameserver ${WORK}\noptions timeout:1 attempts:1\n`);
  for (const one of ["owner", "authority", "csr", "bind", "nginx", "front"]) mkdirSync(path(one), { mode: 0o755 });
  small(path("control"));

  const said = { agent: "", control: "", load: { served: 0, lost: 0, why: "" } as Load, front: [] as string[] };
  const running = { front: null as ChildProcess | null };
  const children: ChildProcess[] = [];
  const keep = (child: ChildProcess): ChildProcess => {
    children.push(child);
    return child;
  };
  const until = async (what: string, holds: () => boolean, seconds = 120): Promise<void> => {
    const end = Date.now() + seconds * 1000;
    while (!holds()) {
      if (Date.now() > end)
        throw new Error(`it never came to be: ${what}\n${said.agent.slice(-1500)}${said.control.slice(-500)}`);
      await Bun.sleep(100);
    }
  };

  const self = {
    folder,
    agent,
    work,
    said,
    until,
    name,
    ca: path("authority/ca.crt"),
    root: path("control/ca/root.pem"),
    pid: () => Number(ran("pgrep", "-f", `^${REEVE} run --config ${path("reeve.yaml")}`).stdout.trim()),
    /** Starts the control plane; `before` are words before its own (faketime). */
    async startControl(before: readonly string[] = []): Promise<void> {
      const at = [`${CONTROL_NAME}:${PORTS.enrol}`, `${CONTROL_NAME}:${PORTS.agents}`];
      const words = ["--dir", path("control"), "--enrol", at[0] ?? "", "--agents", at[1] ?? "", "--bind", "127.0.0.1"];
      const child = keep(plane.start([...before, CONTROL, "serve", ...words]));
      let text = "";
      child.stdout?.on("data", (part: Buffer) => {
        text += part.toString();
      });
      child.stderr?.on("data", (part: Buffer) => {
        said.control += part.toString();
      });
      await until("the control plane serves", () => text.includes("\n") || child.exitCode !== null);
      if (child.exitCode !== null) throw new Error(`serve: ${said.control}`);
    },
    async stopControl(): Promise<void> {
      // By what it is: faketime is a process of its own beside it.
      const serving = (): string[] =>
        ran("pgrep", "-f", `^${CONTROL} serve --dir ${path("control")}`)
          .stdout.split("\n")
          .filter(Boolean);
      for (const pid of serving()) process.kill(Number(pid), "SIGKILL");
      await until("the control plane is gone", () => serving().length === 0);
    },
    vendor: (verb: string, ...args: string[]): Ran => ran(CONTROL, verb, "--dir", path("control"), ...args),
    /** Queues a command; its id. */
    send(expires: string, before: readonly string[], ...action: string[]): string {
      const who = ["--cluster", "prod-eu-1", "--by", "maria@vendor.example", "--why", "INC-4312", "--expires", expires];
      const words = [...before, CONTROL, "send", "--dir", path("control"), "--keys", path("keys"), ...who, "--json"];
      const [program = "", ...rest] = words;
      const done = ran(program, ...rest, ...action);
      const id = /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/.exec(done.stdout)?.[0];
      if (done.code !== 0 || id === undefined) throw new Error(`send: ${done.stderr}`);
      return id;
    },
    status(): Status {
      const done = ran(REEVE, "status", "--config", path("reeve.yaml"), "--json");
      if (done.stdout === "") throw new Error(`status: ${done.stderr}`);
      return JSON.parse(done.stdout) as Status;
    },
    statusText: () => ran(REEVE, "status", "--config", path("reeve.yaml")).stdout,
    entries(): Record<string, unknown>[] {
      const shown = ran(REEVE, "audit", "show", "--config", path("reeve.yaml"), "--json");
      if (shown.code !== 0) throw new Error(`audit show: ${shown.stderr}`);
      return shown.stdout
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Record<string, unknown>);
    },
    decided(id: string): Record<string, unknown> | undefined {
      const over = ["outcome", "refused", "cancelled"];
      return self.entries().find((entry) => entry["command"] === id && over.includes(String(entry["kind"])));
    },
    verify: () => ran(REEVE, "audit", "verify", "--config", path("reeve.yaml"), "--ca", path("control/ca/root.pem")),
    /** What reeve could change, as others see it: processes of the group, the zone, the certificates. */
    world(): string {
      const masters = ran("pgrep", "-f", `nginx: master process nginx -c ${path("nginx")}`).stdout;
      const zone = work.run("dig", `@${WORK}`, "+noall", "+answer", "-t", "AXFR", "example.com");
      const files = ran("sh", "-c", `sha256sum ${path("csr")}/*`).stdout;
      return `${masters}${zone}${files}`;
    },
    masters: () =>
      ran("pgrep", "-f", `nginx: master process nginx -c ${path("nginx")}`)
        .stdout.split("\n")
        .filter(Boolean).length,
    /** What stands before the control plane does from now on; what it says of what it did before. */
    async front(mode: string): Promise<{ connections: number; sent: number }> {
      const before = said.front.length;
      running.front?.stdin?.write(`${mode}\n`);
      await until(`the front is ${mode}`, () => said.front.length > before);
      return JSON.parse(said.front.at(-1) ?? "") as { connections: number; sent: number };
    },
    rule: (words: string) => agent.run("nft", ...words.split(" ")),
    async contact(): Promise<void> {
      await until("contact is made", () => self.status().out_of_contact === null);
    },
    async end(): Promise<void> {
      for (const child of children) child.kill("SIGKILL");
      removeAll();
      unmountAll();
      rmSync(folder, { recursive: true, force: true });
    },
  };

  try {
    await raise();
    return self;
  } catch (error) {
    await self.end();
    throw error;
  }

  async function raise(): Promise<void> {
    const made = ran(CONTROL, "keys", "init", "--keys", path("keys"), "--json");
    const { thumbprint } = JSON.parse(made.stdout) as { thumbprint: string };
    await self.startControl();
    certificates();
    const front = keep(
      plane.start([
        process.execPath,
        join(import.meta.dir, "front.ts"),
        PLANE,
        path("front"),
        ...Object.values(PORTS).map(String),
      ]),
    );
    running.front = front;
    let text = "";
    front.stdout?.on("data", (part: Buffer) => {
      text += part.toString();
      const lines = text.split("\n");
      text = lines.pop() ?? "";
      said.front.push(...lines);
    });
    front.stderr?.on("data", (part: Buffer) => {
      said.control += part.toString();
    });
    nameServer();
    await self.front("pass");
    const token = self.vendor("token", "--cluster", "prod-eu-1");
    writeFileSync(path("token"), token.stdout.trim(), { mode: 0o600 });
    writeFileSync(path("owner/policy.yaml"), POLICY, { mode: 0o644 });
    writeFileSync(path("owner/on"), "on\n", { mode: 0o644 });
    writeFileSync(path("reeve.yaml"), config(thumbprint), { mode: 0o644 });
    const reeve = keep(agent.start([REEVE, "run", "--config", path("reeve.yaml")]));
    reeve.stderr?.on("data", (part: Buffer) => {
      said.agent += part.toString();
    });
    await until("the agent is ready", () => existsSync(path("runtime/status.json")) && self.status().state === "ready");
    await self.contact();
    await application();
  }

  /** The front's: the control plane's own, and one of a CA that nobody here trusts, for the same name. */
  function certificates(): void {
    for (const what of ["pem", "key"])
      writeFileSync(path(`front/server.${what}`), readFileSync(path(`control/ca/server.${what}`)));
    const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"];
    const other = ["-keyout", path("front/other.key"), "-out", path("front/other.pem"), "-subj", "/CN=another CA"];
    ran("openssl", "req", "-x509", ...ec, ...other, "-addext", `subjectAltName=DNS:${CONTROL_NAME}`);
    const own = ["-keyout", path("authority/ca.key"), "-out", path("authority/ca.crt"), "-subj", "/CN=clients"];
    ran("openssl", "req", "-x509", ...ec, ...own);
    const leaf = ["-keyout", path("nginx/key.pem"), "-out", path("csr/shop.csr"), "-subj", "/"];
    const { code, stderr } = ran(
      "openssl",
      "req",
      "-new",
      ...ec,
      ...leaf,
      "-addext",
      `subjectAltName=DNS:${SHOP_NAME}`,
    );
    if (code !== 0) throw new Error(stderr);
  }

  /** BIND, in the workload's namespace, takes changes by the agent's key alone. */
  function nameServer(): void {
    const secret = randomBytes(32).toString("base64");
    writeFileSync(path("tsig"), `${secret}\n`, { mode: 0o600 });
    const records = "@ 60 IN SOA ns hostmaster 1 3600 600 86400 60\n@ 60 IN NS ns\nns 60 IN A 10.77.2.2\n";
    writeFileSync(path("bind/zone"), `$ORIGIN example.com.\n${records}`);
    writeFileSync(
      path("bind/named.conf"),
      `options { directory "${path("bind")}"; pid-file none; session-keyfile none; recursion no; dnssec-validation no;
  listen-on { ${WORK}; ${SHOP}; }; listen-on-v6 { none; }; allow-transfer { ${WORK}; }; };
controls { };
key "reeve" { algorithm hmac-sha256; secret "${secret}"; };
zone "example.com" { type primary; file "${path("bind/zone")}"; update-policy { grant reeve zonesub A; }; };
`,
      { mode: 0o600 },
    );
    keep(work.start(["named", "-f", "-c", path("bind/named.conf")]));
  }

  function config(thumbprint: string): string {
    const local = {
      groups: {
        brokers: {
          command: ["/bin/ip", "netns", "exec", work.name, "nginx", "-c", `${path("nginx")}/{n}.conf`],
          health: { probe: "http", url: `http://${WORK}:${SHOP_PORT + 100}/`, plus_n: true },
          stop_seconds: 5,
        },
      },
      authorities: { clients: { directory: path("authority") } },
      zones: {
        "example.com": {
          server: `${WORK}:53`,
          tsig: { name: "reeve", algorithm: "hmac-sha256", secret_file: path("tsig") },
        },
      },
    };
    return `version: 1
cluster: prod-eu-1
control_plane: { enrol: "https://${CONTROL_NAME}:${PORTS.enrol}", trust_sha256: ${thumbprint} }
state: ${path("state")}
runtime: ${path("runtime")}
owner: { directory: ${path("owner")}, uid: ${process.getuid?.() ?? 0} }
csr: ${path("csr")}
token: { file: ${path("token")} }
provider: local
local: ${JSON.stringify(local)}
`;
  }

  /** Name, certificate and first process come by reeve; then the users begin. */
  async function application(): Promise<void> {
    for (const n of [0, 1, 2]) writeFileSync(path(`nginx/${n}.conf`), nginxConfig(n));
    const digest = ran("sha256sum", path("csr/shop.csr")).stdout.split(" ")[0] ?? "";
    const certificate = ["--authority", "clients", "--csr-sha256", digest, "--usage", "server", "--validity", "7d"];
    const record = ["--zone", "example.com", "--name", SHOP_NAME, "--type", "A", "--change", "create"];
    for (const action of [
      ["issue-certificate", ...certificate],
      ["update-dns", ...record, "--value", SHOP, "--ttl", "60s"],
      ["scale", "--group", "brokers", "--count", "1"],
    ]) {
      const id = self.send("1h", [], ...action);
      await until(`${action[0]} is decided`, () => self.decided(id) !== undefined);
      const entry = self.decided(id);
      if (entry?.["result"] !== "succeeded") throw new Error(JSON.stringify(entry));
    }
    const script = [join(import.meta.dir, "client.ts"), SHOP_NAME, String(SHOP_PORT), SHOP, path("authority/ca.crt")];
    const client = keep(users.start([process.execPath, ...script]));
    client.stdout?.on("data", (part: Buffer) => {
      const line = part.toString().trim().split("\n").at(-1) ?? "";
      said.load = JSON.parse(line) as Load;
    });
    client.stderr?.on("data", (part: Buffer) => {
      said.control += part.toString();
    });
    await until("users are served", () => said.load.served > 20);
  }

  function nginxConfig(n: number): string {
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    return `user root; daemon off; worker_processes 1; pid ${path(`nginx/${n}.pid`)}; error_log ${path(`nginx/${n}.err`)};
events { worker_connections 512; }
http {
  access_log off; ${temporary.map((one) => `${one}_temp_path ${path(`nginx/${one}`)};`).join(" ")}
  server { listen ${WORK}:${SHOP_PORT + 100 + n}; location / { return 200 "well\\n"; } }
  server {
    listen ${SHOP}:${SHOP_PORT + n} ssl;
    ssl_certificate ${path("csr/shop.crt")}; ssl_certificate_key ${path("nginx/key.pem")};
    location / { return 200 "broker ${n} answers\\n"; }
  }
}
`;
  }
}
