import { readFileSync } from "node:fs";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Asked, DnsArgs, Usage } from "../../policy/asked.ts";
import { namedManifest } from "../manifest/deployed.ts";
import { Complaint, seconds } from "../terminal.ts";

/** The four actions of a command line, by which commands are sent and planned alike. */
export type Actions = {
  readonly scale: Command;
  readonly certificate: Command;
  readonly dns: Command;
  readonly deploy: Command;
};

/** Adds a command for each action, with the flags that say what is asked. `act` gets that, and all flags as they were given. */
export function addActions(to: Command, act: (asked: Asked, own: Record<string, unknown>) => Promise<void>): Actions {
  const scale = to
    .command("scale")
    .description("Set the number of machines of a group.")
    .requiredOption("--group <name>", "the group")
    .requiredOption("--count <number>", "how many machines", count)
    .action((own: { group: string; count: number }) =>
      act({ action: "scale", args: { group: own.group, count: own.count } }, own),
    );
  const certificate = to
    .command("issue-certificate")
    .description("Have a certificate issued by one of the customer's authorities.")
    .requiredOption("--authority <name>", "the authority")
    .option("--csr <file>", "a certificate request, PEM or DER: whoever made it holds the private key")
    .option("--csr-sha256 <hex>", "SHA-256 of a request in the customer's CSR folder")
    .addOption(mandatory("--usage <usage...>", "what the certificate is for", ["server", "client"]))
    .requiredOption("--validity <duration>", "e.g. 30d")
    .action((own: CertificateOptions) => act(certificateAsked(own), own));
  const dns = to
    .command("update-dns")
    .description("Change one DNS record set.")
    .requiredOption("--zone <name>", "the zone")
    .requiredOption("--name <name>", "the record's full name, lower case, without a trailing dot")
    .addOption(mandatory("--type <type>", "the record's type", ["A", "AAAA", "CNAME", "TXT"]))
    .addOption(mandatory("--change <change>", "what is done to it", ["create", "replace", "delete"]))
    .option("--value <value...>", "the values afterwards; none for delete")
    .option("--ttl <duration>", "e.g. 60s", "60s")
    .action((own: DnsOptions) => act(dnsAsked(own), own));
  const deploy = to
    .command("deploy")
    .description("Take a group to a manifest, by replacing its machines.")
    .requiredOption("--group <name>", "the group")
    .requiredOption("--manifest <file>", "the manifest's file, or its digest: sha256:HEX")
    .action((own: { group: string; manifest: string }) =>
      act({ action: "deploy", args: { group: own.group, manifest: namedManifest(own.manifest).digest } }, own),
    );
  return { scale, certificate, dns, deploy };
}

function mandatory(flags: string, words: string, choices: readonly string[]): Option {
  return new Option(flags, words).choices(choices).makeOptionMandatory();
}

export function count(text: string): number {
  if (!/^\d{1,7}$/.test(text)) throw new InvalidArgumentError("a whole number, 0 or more.");
  return Number(text);
}

type DnsOptions = Pick<DnsArgs, "zone" | "name" | "type" | "change"> & { value?: string[]; ttl: string };
function dnsAsked({ zone, name, type, change, value, ttl }: DnsOptions): Asked {
  const args = { zone, name, type, change, values: value ?? [], ttl: seconds(ttl, "update DNS") };
  return { action: "update-dns", args };
}

type CertificateOptions = { authority: string; csr?: string; csrSha256?: string; usage: Usage[]; validity: string };
function certificateAsked(own: CertificateOptions): Asked {
  return {
    action: "issue-certificate",
    args: {
      authority: own.authority,
      csr: own.csr === undefined ? undefined : csrOf(readRequest(own.csr)).toString("base64"),
      csr_sha256: own.csrSha256,
      usages: own.usage,
      validity: seconds(own.validity, "issue a certificate"),
    },
  };
}

/** The DER of a file that is PEM or DER. */
export function csrOf(bytes: Buffer): Buffer {
  const pem = /-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----([A-Za-z0-9+/=\s]+)-----END/.exec(bytes.toString("latin1"));
  return pem === null ? bytes : Buffer.from(pem[1] ?? "", "base64");
}

export function readRequest(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new Complaint(
      4,
      "read the certificate request",
      `${file} cannot be read (${String((error as { code?: unknown }).code)})`,
      "Name a PEM or DER file.",
    );
  }
}
