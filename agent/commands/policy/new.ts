import { type Command, Option } from "commander";
import { DNS_NAME } from "../../../policy/names.ts";
import { PROVIDERS, type Provider, starter } from "../../../policy/starter.ts";
import { DiskError, type Host } from "../../host/host.ts";
import { ClusterName } from "../../wire/names.ts";
import { Complaint } from "../config.ts";

type Options = {
  readonly provider: Provider;
  readonly cluster: string;
  readonly vendor: string;
  readonly out?: string;
};

function write(host: Host, { provider, cluster, vendor, out }: Options): void {
  const cannot = "write a new policy";
  if (!ClusterName.safeParse(cluster).success)
    throw new Complaint(cannot, "--cluster is not a cluster's name", "a-z, 0-9 and -.", 2);
  if (!DNS_NAME.test(vendor))
    throw new Complaint(cannot, "--vendor is not a trust domain", "Such as vendor.example.", 2);
  const text = starter(provider, cluster, vendor);
  if (out === undefined) {
    process.stdout.write(text);
    return;
  }
  try {
    if (host.disk.exists(out)) throw new Complaint(cannot, `${out} is there already`, "Name another file.", 1);
    host.disk.replace(out, Buffer.from(text), 0o644);
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    throw new Complaint(cannot, `${out} cannot be written (${error.code})`, "Name a file in a folder of yours.", 4);
  }
}

export function newCommand(policy: Command, host: Host): void {
  policy
    .command("new")
    .description("print a commented policy that permits nothing until you fill it in")
    .addOption(
      new Option("--provider <cloud>", "whose names the examples use").choices([...PROVIDERS]).makeOptionMandatory(),
    )
    .option("--cluster <name>", "the cluster's name", "my-cluster")
    .option("--vendor <domain>", "the vendor's trust domain", "vendor.example")
    .option("--out <file>", "write it there instead of printing it")
    .action((options: Options) => write(host, options));
}
