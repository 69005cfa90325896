import { type Command, Option } from "commander";
import { TOKEN_LIFETIME_MAX_SECONDS } from "../../agent/limits.ts";
import { writeDurably } from "../files.ts";
import { clusterName } from "../statement.ts";
import { Complaint } from "../terminal.ts";
import { userdata } from "../userdata/document.ts";
import { type MachineConfig, machineConfig, machinePolicy, ownersPath } from "../userdata/machineConfig.ts";
import { binaryPlace, installScript, localGroupsText, unitText } from "../userdata/script.ts";
import { withSigner } from "./signing.ts";
import { out } from "./state.ts";
import { type Join, type JoinOptions, joinOf, read } from "./userdataJoin.ts";

const CANNOT = "render user-data";
const AFTER = `
The machine fetches the executable, checks its SHA-256, places it with config, policy, token and unit, and starts the unit. Its image needs
systemd, cloud-init, and curl (or the cloud's own program for s3:// and gs://). What is printed holds the join token.`;

type Options = JoinOptions & {
  cluster: string;
  provider: MachineConfig["provider"];
  sha256: string;
  binary?: string;
  config?: string;
  policy?: string;
  on?: boolean;
  first?: boolean;
  out?: string;
};

export function addUserdata(top: Command): void {
  withSigner(
    top
      .command("userdata")
      .description("Render user-data for cloud-init: a machine that boots with it installs the agent and joins.")
      .addHelpText("after", AFTER)
      .requiredOption("--cluster <name>", "the cluster that the machine joins")
      .addOption(
        new Option("--provider <name>", "what it works with")
          .choices(["local", "aws", "gcp", "azure"])
          .makeOptionMandatory(),
      )
      .requiredOption("--sha256 <hex>", "SHA-256 of the agent's executable: nothing else is run")
      .option(
        "--binary <place>",
        "https://…, s3://…, gs://…, or a path of the image (default: it is installed already)",
      )
      .option("--token <file>", "the join token; - for stdin")
      .option("--dir <folder>", "or the control plane's folder, to make one")
      .option("--ttl <duration>", "how long one made here is good, at most 24h", "1h")
      .option(
        "--enrol <url>",
        "or no token, on a cloud: https://HOST:PORT of a control plane that admits the machine by its platform",
      )
      .option("--root-sha256 <hex>", "with --enrol: the control plane's root")
      .option("--trust-sha256 <thumbprint>", "of the first command key (default with --dir: the one that it knows)")
      .option("--config <file>", "further fields of reeve.yaml: the provider's own, owner, egress, witnesses, …")
      .option("--policy <file>", "the policy, where the owner's folder is a directory of the machine")
      .option("--on", "turn the owner's switch on, in that directory; without it a new machine is suspended")
      .option(
        "--first",
        "it is the cluster's first machine, if it joins within a day: its rates are all free (one with a join token needs no such word)",
      )
      .option("--out <file>", "write it there, mode 0600, instead of stdout"),
  ).action(render);
}

async function render(options: Options): Promise<void> {
  const cluster = clusterName(options.cluster);
  const { provider, sha256 } = options;
  if (!/^[0-9a-f]{64}$/.test(sha256))
    throw new Complaint(2, CANNOT, "--sha256 is no SHA-256", "64 characters of lower-case hex, as in SHA256SUMS.");
  const binary = options.binary === undefined ? null : binaryPlace(options.binary);
  const more = options.config === undefined ? null : read(options.config).toString("utf8");
  const policy = options.policy === undefined ? null : read(options.policy);
  const join = await joinOf(options, cluster);
  const { claims, trustSha256 } = join;
  const firstUntil = options.first === true ? firstWhile(join) : null;
  const { text, config } = machineConfig({ cluster, provider, claims, trustSha256, firstUntil, more });
  const owner = ownersPath(config);
  const groups = provider === "local" && Object.keys(config.local.groups).length > 0;
  const rendered = userdata({
    script: installScript({ binary, sha256, owner }),
    config: text,
    token: join.token,
    unit: unitText(),
    localGroups: groups ? localGroupsText() : null,
    policy: policyOf(policy, options.on === true, owner, config),
    on: options.on === true,
  });
  if (options.out === undefined) out(rendered);
  else writeDurably(options.out, rendered, 0o600);
  if (join.until === null) return;
  const until = new Date(join.until * 1000).toISOString();
  process.stderr.write(
    `warning: it holds a join token for ${cluster}, which whoever reads it can use once, until ${until}; so can what runs on the machine\n`,
  );
}

/** Unix seconds. What its template gives to machines that come later is worth nothing by then. */
function firstWhile({ until }: Join): number {
  if (until === null) return Math.floor(Date.now() / 1000) + TOKEN_LIFETIME_MAX_SECONDS;
  throw new Complaint(
    2,
    CANNOT,
    "--first is for a machine that joins by its platform alone",
    "With a join token it is the first while the token is good: leave --first out.",
  );
}

function policyOf(bytes: Buffer | null, on: boolean, owner: string | null, config: MachineConfig): string | null {
  if (owner === null) {
    if (bytes === null && !on) return null;
    throw new Complaint(
      2,
      CANNOT,
      "the owner's folder is a bucket",
      "Put policy.yaml and on into the bucket; leave --policy and --on out.",
    );
  }
  if (bytes !== null) return machinePolicy(bytes, config);
  throw new Complaint(
    2,
    CANNOT,
    "the machine would have no policy",
    "Give --policy FILE, or a bucket as the owner's folder in --config.",
  );
}
