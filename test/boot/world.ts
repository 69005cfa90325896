import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../build/command.ts";
import { requireDebian } from "../tools.ts";
import { append, type Machine, makeMachine } from "./machine.ts";
import { CLEAN, must, until } from "./ran.ts";
import { ADDRESS, childOf, makeStage, type Stage } from "./stage.ts";

export const CLUSTER = "prod-eu-1";
const CONTROL_NAME = "control.vendor.example";
const FILES_NAME = "files.customer.example";
const DIST = join(ROOT, "dist");
const AGENT = join(DIST, "reeve");
const CONTROL = join(DIST, "reeve-control");

export const POLICY = `version: 1
revision: 1
cluster: ${CLUSTER}
vendor: vendor.example
place: { cloud: local }
people: {}
signers: {}
share: []
dry_run: refused
rules: []
tests: []
`;

/** A vendor's control plane and a customer's file server on a stage, and a machine that is to boot there. */
export type World = {
  readonly stage: Stage;
  readonly sha256: string;
  /** The machine that boots with this user-data; names are found in its /etc/hosts unless `names` is "dns". */
  machine(userData: string, names?: "hosts" | "dns"): Machine;
  /** `reeve-control userdata` with these flags besides those of every machine here. */
  userData(...flags: readonly string[]): Promise<string>;
  /** Another join token for the same cluster. */
  token(): Promise<string>;
  startControl(): Promise<void>;
  stopControl(): Promise<void>;
  startNames(): Promise<void>;
  /** `reeve-control fleet`: the cluster's row. */
  cluster(): Promise<Record<string, unknown>>;
  end(): Promise<void>;
};

/** All of it lies in the stage's memory, and dies with it. */
export async function makeWorld(): Promise<World> {
  requireDebian({ openssl: "openssl", curl: "curl" });
  const stage = await makeStage();
  const folder = stage.at("/srv/world");
  const here = `${stage.root}/srv/world`;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "policy.yaml"), POLICY);
  const run = (...argv: readonly string[]): Promise<string> => must(...stage.enter, ...argv);
  const start = (...argv: readonly string[]): ChildProcess => {
    const [program = "", ...args] = [...stage.enter, ...argv];
    return spawn(program, args, { env: CLEAN, stdio: ["ignore", "pipe", "pipe"] });
  };
  try {
    const sha256 = (await must("sha256sum", AGENT)).slice(0, 64);
    await authority(folder);
    await must("cp", AGENT, join(folder, "reeve"));
    const files = ["openssl", "s_server", "-accept", `${ADDRESS}:443`, "-WWW", "-quiet", "-cert", "server.pem"];
    start("sh", "-c", 'cd "$0" && exec "$@"', here, ...files);
    const pin = (await run(CONTROL, "keys", "init", "--keys", `${here}/keys`)).trim();
    append(stage.at("/etc/ssl/certs/ca-certificates.crt"), readFileSync(join(folder, "ca.pem"), "utf8"));
    append(stage.at("/etc/hosts"), `\n${ADDRESS} ${CONTROL_NAME} ${FILES_NAME}\n`);
    const listening = (port: number): Promise<true> =>
      until(`somebody listens on ${port}`, async () =>
        (await must(...stage.enter, "ss", "--listening", "--tcp", "--numeric", "--no-header")).includes(`:${port} `)
          ? true
          : null,
      );
    await listening(443);
    let control: ChildProcess | null = null;
    const self: World = {
      stage,
      sha256,
      machine(userData, names = "hosts") {
        if (names === "dns") {
          writeFileSync(stage.at("/etc/hosts"), "127.0.0.1 localhost\n");
          writeFileSync(stage.at("/etc/resolv.conf"), `nameserver ${ADDRESS}\n`);
        }
        return makeMachine(stage, userData);
      },
      userData: (...flags) =>
        run(
          ...[CONTROL, "userdata", "--cluster", CLUSTER, "--provider", "local", "--dir", `${here}/control`],
          ...["--keys", `${here}/keys`, "--trust-sha256", pin, "--policy", `${here}/policy.yaml`, "--on"],
          ...["--binary", `https://${FILES_NAME}/reeve`, ...(flags.includes("--sha256") ? [] : ["--sha256", sha256])],
          ...flags,
        ),
      token: async () => (await run(CONTROL, "token", "--dir", `${here}/control`, "--cluster", CLUSTER)).trim(),
      async startControl() {
        const at = ["--enrol", `${CONTROL_NAME}:8443`, "--agents", `${CONTROL_NAME}:8444`, "--bind", ADDRESS];
        control = start(CONTROL, "serve", "--dir", `${here}/control`, ...at);
        await listening(8443);
        await listening(8444);
      },
      async stopControl() {
        const pid = control === null ? null : childOf(control.pid ?? 0);
        if (control === null || pid === null) throw new Error("no control plane runs");
        const gone = new Promise((resolve) => control?.once("exit", resolve));
        process.kill(pid, "SIGTERM");
        await gone;
        control = null;
      },
      async startNames() {
        requireDebian({ named: "bind9" });
        names(folder);
        start("named", "-f", "-c", `${here}/named.conf`);
        await listening(53);
      },
      async cluster() {
        const shown = await run(CONTROL, "fleet", "--dir", `${here}/control`, "--json");
        const { clusters } = JSON.parse(shown) as { clusters: Record<string, unknown>[] };
        return clusters.find((one) => one["cluster"] === CLUSTER) ?? {};
      },
      end: () => stage.end(),
    };
    return self;
  } catch (error) {
    await stage.end();
    throw error;
  }
}

/** A CA of the customer's own, and a certificate for the file server, with its key in one file. */
async function authority(folder: string): Promise<void> {
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  const [ca, caKey, leaf, leafKey] = ["ca.pem", "ca.key", "leaf.pem", "leaf.key"].map((name) => join(folder, name));
  await must("openssl", "req", "-x509", ...key, "-keyout", caKey ?? "", "-out", ca ?? "", "-subj", "/CN=customer");
  const by = ["-CA", ca ?? "", "-CAkey", caKey ?? "", "-addext", `subjectAltName=DNS:${FILES_NAME}`];
  const plain = ["-addext", "basicConstraints=critical,CA:FALSE"];
  const to = ["-keyout", leafKey ?? "", "-out", leaf ?? "", "-subj", `/CN=${FILES_NAME}`];
  await must("openssl", "req", "-x509", ...key, ...to, ...by, ...plain);
  writeFileSync(
    join(folder, "server.pem"),
    `${readFileSync(leafKey ?? "", "utf8")}${readFileSync(leaf ?? "", "utf8")}`,
    { mode: 0o600 },
  );
}

/** BIND, as the network's name server. */
function names(folder: string): void {
  writeFileSync(
    join(folder, "zone"),
    `$TTL 60\n@ IN SOA ns.example. host.example. 1 3600 600 86400 60\n@ IN NS ns.example.\n${[
      "ns.example.",
      `${CONTROL_NAME}.`,
      `${FILES_NAME}.`,
    ]
      .map((name) => `${name} IN A ${ADDRESS}\n`)
      .join("")}`,
  );
  writeFileSync(
    join(folder, "named.conf"),
    `options { directory "/tmp"; pid-file none; session-keyfile none; recursion no; dnssec-validation no;
  listen-on { ${ADDRESS}; }; listen-on-v6 { none; }; };
controls { };
zone "example" { type primary; file "${folder.replace(/^\/proc\/\d+\/root/, "")}/zone"; };
`,
  );
}
