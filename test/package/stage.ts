import { join } from "node:path";
import { DIST, packages } from "./built.ts";
import { type Box, boot, type Put, type Ran } from "./nspawn.ts";

/** A machine with the package installed, an owner's folder, a token among the machine's credentials, and a control plane beside it. */
export type Machine = Box & {
  /** One property of the unit, as `systemctl show` says it. */
  unit(property: string, name?: string): string;
  /** The log's entries of one kind. */
  entries(kind: string): readonly string[];
  /** Sends `scale` to the group `brokers` and waits for its outcome. */
  scale(count: number): Ran;
  /** The pids of the group's processes. */
  pids(): readonly number[];
};

const POLICY = `version: 1
revision: 1
cluster: prod-eu-1
vendor: vendor.example
place: { cloud: local }
people: {}
signers: {}
share: []
dry_run: refused
rules:
  - id: brokers-grow
    why: More load.
    allow: scale
    group: brokers
    count: { min: 0, max: 4 }
    change: { up: 4, down: 4 }
    rate: 100 per hour
    when: always
    approval: none
tests: []
`;

/** A process whose name no other has. */
const WORKLOAD = "#!/bin/sh\nwhile :; do sleep 1000; done\n";

const SERVE = `mkdir -p -m 700 /root/vendor
reeve-control keys init --keys /root/vendor/keys --json > /root/vendor/keys.json
systemd-run --quiet --unit=control --property=StandardOutput=file:/root/vendor/served \\
  reeve-control serve --dir /root/vendor/data --enrol 127.0.0.1:0 --agents 127.0.0.1:0`;

const CONFIGURE = `thumbprint=$(sed 's/.*"thumbprint":"\\([^"]*\\)".*/\\1/' /root/vendor/keys.json)
enrol=$(sed 's/.*"enrol":"\\([^"]*\\)".*/\\1/' /root/vendor/served)
cat > /etc/reeve/reeve.yaml <<END
version: 1
cluster: prod-eu-1
control_plane: { enrol: "https://$enrol", trust_sha256: $thumbprint }
token: { credential: reeve-token }
provider: local
local: { groups: { brokers: { command: [/usr/local/bin/reeve-workload, "{n}"], stop_seconds: 2 } } }
END
echo on > /etc/reeve/owner/on
mkdir -p -m 700 /etc/credstore
reeve-control token --dir /root/vendor/data --cluster prod-eu-1 > /etc/credstore/reeve-token
chmod 600 /etc/credstore/reeve-token`;

/** `more`: what else is put into it. */
export async function machine(more: Put = {}): Promise<Machine> {
  const { deb, rpm } = packages();
  const box = await boot({
    ...more,
    "/root/reeve.deb": { copy: deb },
    "/root/reeve.rpm": { copy: rpm },
    "/usr/bin/reeve-control": { copy: join(DIST, "reeve-control"), mode: 0o755 },
    "/usr/local/bin/reeve-workload": { text: WORKLOAD, mode: 0o755 },
    "/root/policy.yaml": { text: POLICY },
  });
  return {
    ...box,
    unit: (property, name = "reeve.service") => box.sh(`systemctl show --value --property=${property} ${name}`).trim(),
    entries: (kind) =>
      box
        .sh("reeve audit show --json")
        .split("\n")
        .filter((line) => line.includes(`"kind":"${kind}"`)),
    scale: (count) =>
      box.run(
        "env",
        ..."reeve-control send --dir /root/vendor/data --keys /root/vendor/keys --cluster prod-eu-1 --by m@vendor.example --why test --wait --json scale --group brokers --count".split(
          " ",
        ),
        String(count),
      ),
    pids: () =>
      box
        .run("pgrep", "-f", "^/bin/sh /usr/local/bin/reeve-workload")
        .stdout.split("\n")
        .filter(Boolean)
        .map(Number)
        .toSorted((a, b) => a - b),
  };
}

export function install(of: Box): string {
  return of.sh("DEBIAN_FRONTEND=noninteractive dpkg --install /root/reeve.deb 2>&1");
}

/** The control plane, the config, the policy and the token: all but the start of the agent. */
export async function configure(of: Box): Promise<void> {
  of.sh(SERVE);
  await of.until("a control plane that listens", () => of.run("grep", "-q", "enrol", "/root/vendor/served").code === 0);
  of.sh(CONFIGURE);
  of.sh("cp /root/policy.yaml /etc/reeve/owner/policy.yaml");
}
