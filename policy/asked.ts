/** What a command asks for, and what was found: the plain data that a policy judges. Units: seconds; sizes as said. */
export type ScaleArgs = { readonly group: string; readonly count: number };
export type Usage = "server" | "client";
export type CertificateArgs = {
  readonly authority: string;
  /** Lower-case hex SHA-256 of the CSR file's bytes, in the config's CSR folder. Exactly one of the two. */
  readonly csr_sha256?: string | undefined;
  /** Base64 (standard alphabet, padded) of the CSR's DER. */
  readonly csr?: string | undefined;
  readonly usages: readonly Usage[];
  readonly validity: number;
};
export type DnsType = "A" | "AAAA" | "CNAME" | "TXT";
export type DnsChange = "create" | "replace" | "delete";
export type DnsArgs = {
  readonly zone: string;
  readonly name: string;
  readonly type: DnsType;
  readonly change: DnsChange;
  /** The values afterwards; empty for delete. */
  readonly values: readonly string[];
  readonly ttl: number;
};

export type DeployArgs = {
  readonly group: string;
  /** `sha256:` and lower-case hex: the manifest's digest, of its line. */
  readonly manifest: string;
};

export type Asked =
  | { readonly action: "scale"; readonly args: ScaleArgs }
  | { readonly action: "issue-certificate"; readonly args: CertificateArgs }
  | { readonly action: "update-dns"; readonly args: DnsArgs }
  | { readonly action: "deploy"; readonly args: DeployArgs };
export type Action = Asked["action"];
export const ACTIONS: readonly Action[] = ["scale", "issue-certificate", "update-dns", "deploy"];

/** The resource that a command is about: commands on one resource run one at a time. */
export function resourceOf(asked: Asked): string {
  switch (asked.action) {
    case "scale":
    case "deploy":
      return `group:${asked.args.group}`;
    case "issue-certificate":
      return `authority:${asked.args.authority}`;
    case "update-dns":
      return `record:${asked.args.zone}/${asked.args.name}`;
  }
}

/** The resource as the call gate compares it, which a cloud or the config knows: without the word that says of what kind it is. */
export function gateResource(resource: string): string {
  return resource.slice(resource.indexOf(":") + 1);
}

/** What rules name of it: of a record its zone. */
export function askedResource(asked: Asked): string {
  switch (asked.action) {
    case "scale":
    case "deploy":
      return asked.args.group;
    case "issue-certificate":
      return asked.args.authority;
    case "update-dns":
      return asked.args.zone;
  }
}

export type SubjectAltName = { readonly type: string; readonly value: string };
/** A PKCS #10 request (RFC 2986) as far as a policy needs it; agent/wire/csr.ts reads it. */
export type CsrFacts = {
  readonly signatureValid: boolean;
  /** RFC 4514 text; "" when empty. */
  readonly subject: string;
  /** Value of the only CN, when the subject is exactly one CN. */
  readonly commonName: string | null;
  readonly sans: readonly SubjectAltName[];
  /** "P-256", "P-384", "RSA-2048", "Ed25519", … */
  readonly keyType: string;
  /** OIDs of requested extensions other than subjectAltName. */
  readonly extensions: readonly string[];
  /** True when basicConstraints asks for CA:TRUE. */
  readonly wantsCa: boolean;
};

/** A manifest (agent/wire/manifest.ts) as far as a policy needs it. */
export type ManifestFacts = {
  /** `sha256:…`: what the command names it by. */
  readonly digest: string;
  /** Ids of the policy's signers whose signatures over it hold. */
  readonly signedBy: readonly string[];
  readonly cluster: string;
  /** Its `parameters.place`. */
  readonly place: { readonly cloud: string; readonly account: string; readonly region: string };
  /** Digest of the policy that it was made for; null: it names none. */
  readonly policy: string | null;
  readonly version: string;
  /** Where the asked group's image lies, and the digest of what is in it; null: the manifest does not name the group. */
  readonly group: { readonly image: string; readonly digest: string } | null;
};

export type Found =
  | { readonly action: "scale"; readonly count: number }
  | { readonly action: "issue-certificate"; readonly csr: CsrFacts; readonly made: "in-cluster" | "by-vendor" }
  | {
      readonly action: "update-dns";
      /** Null when there is no such record set. */
      readonly record: { readonly values: readonly string[]; readonly ttl: number } | null;
    }
  | {
      readonly action: "deploy";
      readonly manifest: ManifestFacts;
      /** Where the image lies that the group runs now; null when it cannot be told. */
      readonly image: string | null;
      /** Machines in the group. */
      readonly count: number;
    };

/** What the log remembers that a policy must know. Times are milliseconds since 1970. */
export type History = {
  /** Times of intents by permitting rule's id, oldest first, at least for the longest window. */
  readonly intents: ReadonlyMap<string, readonly number[]>;
  /** The log remembers nothing before this; windows that begin earlier count as used up. Null: nothing was before. */
  readonly since: number | null;
  /** The highest policy revision that the log has seen; 0 for none. */
  readonly revision: number;
};

/** Who has said yes to a command so far, as the owner's folder has it at this moment. */
export type Approvals = {
  /** Names of the policy's people whose signatures over the command hold. */
  readonly by: ReadonlySet<string>;
  /** When the command began to wait, milliseconds since 1970; null when it does not wait yet, so that nobody was asked. */
  readonly since: number | null;
};
/** Nobody was asked yet. */
export const NOBODY: Approvals = { by: new Set(), since: null };
