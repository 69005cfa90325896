import { createHash } from "node:crypto";
import { isAcme } from "../policy/acme.ts";
import { type Asked, type CertificateArgs, type Found, gateResource, resourceOf } from "../policy/asked.ts";
import type { Policy } from "../policy/policy.ts";
import type {
  ActionProvider,
  AuthorityState,
  CallPlace,
  Errand,
  Executed,
  Gate,
  Ground,
  JudgedCertificateArgs,
  OperationsTable,
  Provider,
  Reconciled,
  UnfitArtifact,
} from "../providers/provider.ts";
import type { ManifestSource } from "./artifacts/source.ts";
import type { EntryBody } from "./audit/entry.ts";
import { deployOfIntent, deployWork } from "./deploy.ts";
import type { Disk } from "./host/host.ts";
import { MAX_CSR_NAMES, MAX_CSR_NAMES_BYTES } from "./limits.ts";
import { certificateBeside, findCsr } from "./owner/csr.ts";
import { readCsr } from "./wire/csr.ts";

export type Facts = Extract<EntryBody, { kind: "intent" }>["found"];

/** What the policy judges, and what the entry says of it. */
export type Judged = { readonly found: Found; readonly facts: Facts };
/** What `describe` saw, and the call that would act on exactly that. */
export type Seen = {
  /** By the policy of the moment: whose signature counts is the policy's word. */
  judge(policy: Policy): Judged;
  /** The judged certificate request, base64 DER. */
  readonly csr: string | null;
  execute(gate: Gate, errand: Errand): Promise<Executed>;
};
export type Unseen =
  | { readonly missing: string }
  | { readonly unreadable: string }
  | UnfitArtifact
  | { readonly csr_unreadable: string; readonly hint: string };

/** One command's dealings with its provider, the action's types closed over. */
export type Work = {
  readonly resource: string;
  readonly operations: OperationsTable;
  readonly places: readonly CallPlace[];
  readonly beside: readonly Ground[];
  /** What is known before anything of the resource is read, and is refused then already; null: nothing is. */
  readonly before: ((policy: Policy) => Found) | null;
  /** What is interrupted may be gone on with under its open intent. */
  readonly resumes: boolean;
  describe(gate: Gate, errand: Errand): Promise<Seen | Unseen>;
};

function workOf<Args, State>(
  provider: ActionProvider<Args, State>,
  args: Args,
  resource: string,
  see: (state: State) => Judged & Pick<Seen, "csr">,
  before: Work["before"] = null,
): Work {
  return {
    resource,
    operations: provider.operations,
    places: provider.places(args),
    beside: provider.beside?.(args) ?? [],
    before,
    resumes: provider.resume !== undefined,
    async describe(gate, errand) {
      const described = await provider.describe(gate, args, errand);
      if (!("state" in described)) return described;
      const { csr, ...seen } = see(described.state);
      return {
        judge: () => seen,
        csr,
        execute: (inner, own) => provider.execute(inner, args, described.state, own),
      };
    },
  };
}

/** Where a certificate request comes from, and where the certificate goes. */
type Request = { readonly der: Uint8Array; readonly path: string | null };

function requestOf(
  disk: Disk,
  folder: string,
  args: CertificateArgs,
): Request | { readonly csr_unreadable: string; readonly hint: string } {
  if (args.csr !== undefined) return { der: Buffer.from(args.csr, "base64"), path: null };
  if (args.csr_sha256 === undefined) throw new Error("a command without a certificate request was parsed");
  const found = findCsr(disk, folder, args.csr_sha256);
  return "because" in found ? { csr_unreadable: found.because, hint: found.hint } : found;
}

/** Where what a command names by its digest is read. */
export type Places = { readonly disk: Disk; readonly csrFolder: string; readonly manifests: ManifestSource };

/** What a command will need of its provider. Effects: reads the certificate request, which is this machine's own, or the manifest. */
export async function workFor(
  provider: Provider,
  { disk, csrFolder, manifests }: Places,
  asked: Asked,
  signal: AbortSignal,
): Promise<Work | Unseen> {
  const resource = gateResource(resourceOf(asked));
  switch (asked.action) {
    case "scale":
      return workOf(provider.scale, asked.args, resource, ({ count }) => ({
        found: { action: "scale", count },
        facts: { count },
        csr: null,
      }));
    case "update-dns":
      return workOf(provider["update-dns"], asked.args, resource, ({ record }) => ({
        found: { action: "update-dns", record },
        facts: record === null ? { record: null } : { values: [...record.values], ttl: record.ttl },
        csr: null,
      }));
    case "deploy":
      return deployWork(provider, manifests, asked.args, signal);
    case "issue-certificate": {
      const request = requestOf(disk, csrFolder, asked.args);
      if (!("der" in request)) return request;
      const csr = await readCsr(request.der);
      if (csr === null)
        return {
          csr_unreadable: "the certificate request is not one PKCS #10 structure that can be read surely",
          hint: "Write it with `openssl req -new`.",
        };
      const names = csr.sans.map((san) => san.value);
      if (
        names.length > MAX_CSR_NAMES ||
        names.reduce((sum, name) => sum + Buffer.byteLength(name), 0) > MAX_CSR_NAMES_BYTES
      )
        return {
          csr_unreadable: `the certificate request holds more than ${MAX_CSR_NAMES} names, or more than ${MAX_CSR_NAMES_BYTES} bytes of them`,
          hint: "Ask for fewer or shorter names.",
        };
      const made = request.path === null ? ("by-vendor" as const) : ("in-cluster" as const);
      const deliver = request.path === null ? null : certificateBeside(request.path);
      const issuer = issuerOf(provider, asked.args);
      if (issuer === null) return noAcme(asked.args);
      // All that a rule says of a request is known from its bytes: what names it holds decides what is read beside the authority.
      const found: Found = { action: "issue-certificate", csr, made };
      const args = { ...asked.args, csrDer: request.der, names, deliver };
      const see = ({ subject }: AuthorityState): Judged & Pick<Seen, "csr"> => ({
        found,
        facts: {
          authority: subject.slice(0, 1024),
          subject: csr.subject.slice(0, 1024),
          names: names.slice(0, 64).map((name) => name.slice(0, 253)),
          key: csr.keyType,
          made,
          file: request.path === null ? null : (request.path.split("/").at(-1) ?? null),
        },
        csr: Buffer.from(request.der).toString("base64"),
      });
      return workOf(issuer, args, resource, see, () => found);
    }
  }
}

/** Who issues: by ACME, where the authority says so, else the cloud itself. Null: the config names no ACME authority at all. */
function issuerOf(
  provider: Provider,
  { authority }: CertificateArgs,
): ActionProvider<JudgedCertificateArgs, AuthorityState> | null {
  return isAcme(authority) ? (provider.acme ?? null) : provider["issue-certificate"];
}

function noAcme({ authority }: CertificateArgs): Unseen {
  return { missing: `the config has no ACME authority, and so not ${authority}` };
}

type Intent = Extract<EntryBody, { kind: "intent" }>;

function count(facts: Facts, name: string): number {
  const value = facts[name];
  if (typeof value !== "number") throw new Error(`an intent does not say its ${name}`);
  return value;
}

const nobodyToAsk = (words: string): ReturnType<typeof reconcileFor> => ({
  operations: [],
  places: [],
  beside: [],
  clear: null,
  resume: null,
  reconcile: async () => ({
    result: "unknown",
    code: "missing",
    known_by: "nothing",
    changed: [],
    certificate: null,
    words,
  }),
});

/** The same for an intent of the log: everything comes from its entry, nothing is looked up again. */
export function reconcileFor(
  provider: Provider,
  csrFolder: string,
  asked: Asked,
  intent: Intent,
): {
  operations: OperationsTable;
  places: readonly CallPlace[];
  beside: readonly Ground[];
  reconcile(gate: Gate, errand: Errand): Promise<Reconciled>;
  /** Null: nothing is left beside the resource by any execution. */
  clear: ((gate: Gate, errand: Errand) => Promise<void>) | null;
  /** Null: what was interrupted is not gone on with. */
  resume: ((gate: Gate, errand: Errand) => Promise<Executed>) | null;
} {
  const facts = intent.found;
  const texts = (name: string): string[] => (Array.isArray(facts[name]) ? facts[name] : []);
  const of = <Args, State>(action: ActionProvider<Args, State>, args: Args, state: State) => ({
    operations: action.operations,
    places: action.places(args),
    beside: action.beside?.(args) ?? [],
    clear:
      action.clear === undefined
        ? null
        : (gate: Gate, errand: Errand) => action.clear?.(gate, args, errand) ?? Promise.resolve(),
    resume:
      action.resume === undefined
        ? null
        : (gate: Gate, errand: Errand) =>
            action.resume?.(gate, args, state, errand) ?? action.reconcile(gate, args, state, errand),
    reconcile: (gate: Gate, errand: Errand) => action.reconcile(gate, args, state, errand),
  });
  switch (asked.action) {
    case "scale":
      return of(provider.scale, asked.args, { count: count(facts, "count") });
    case "update-dns":
      return of(provider["update-dns"], asked.args, {
        record: "record" in facts ? null : { values: texts("values"), ttl: count(facts, "ttl") },
      });
    case "deploy": {
      if (provider.deploy === undefined) return nobodyToAsk("The provider has no deploy any more.");
      const { args, state } = deployOfIntent(asked.args, facts);
      return of(provider.deploy, args, state);
    }
    case "issue-certificate": {
      const file = facts["file"];
      const deliver = typeof file === "string" ? certificateBeside(`${csrFolder}/${file}`) : null;
      if (intent.csr === null) throw new Error("an intent for a certificate does not hold its request");
      const args = { ...asked.args, csrDer: Buffer.from(intent.csr, "base64"), names: texts("names"), deliver };
      const issuer = issuerOf(provider, asked.args);
      // The config lost it since: what the intent became cannot be asked any more.
      if (issuer === null) return nobodyToAsk("The config names no ACME authority any more.");
      return of(issuer, args, { subject: String(facts["authority"] ?? "") });
    }
  }
}

/** What the entry says was asked: the arguments, a certificate request by its digest. */
export function askedFacts(asked: Asked): Facts {
  switch (asked.action) {
    case "scale":
    case "deploy":
      return { ...asked.args };
    case "update-dns":
      return { ...asked.args, values: [...asked.args.values] };
    case "issue-certificate": {
      const { csr, csr_sha256, authority, usages, validity } = asked.args;
      const digest =
        csr_sha256 ??
        createHash("sha256")
          .update(Buffer.from(csr ?? "", "base64"))
          .digest("hex");
      return { authority, csr_sha256: digest, usages: [...usages], validity };
    }
  }
}
