import "reflect-metadata";
import { createHash } from "node:crypto";
import { X509Certificate } from "@peculiar/x509";
import { DiskError } from "../../agent/host/host.ts";
import { base64, certificatesIn, decoded, pemOf } from "../chain.ts";
import { DELIVERY_OPERATIONS, deliver, deliveryPlaces } from "../deliver.ts";
import { faultOf, type Validity, validityOf } from "../issued.ts";
import { serialOf } from "../leaf.ts";
import { byState, failed, stoppedBy, succeeded, unknown } from "../outcome.ts";
import {
  type ActionProvider,
  type AuthorityState,
  CallFailed,
  type CallPlace,
  type Errand,
  type Executed,
  type Gate,
  type JudgedCertificateArgs,
  type OperationRow,
  type Reconciled,
} from "../provider.ts";
import { CHAIN_OPERATION, chainPlace, readAuthority, type VaultAuthority } from "./authority.ts";
import { type AzureCalls, type AzureContext, azureCalls } from "./call.ts";
import { endpointOf, placesOf } from "./endpoints.ts";
import { MAX_CHAIN_BYTES } from "./limits.ts";
import type { Notes } from "./notes.ts";
import { CERTIFICATE_OPERATIONS } from "./operations.ts";
import { signedWith, unsigned } from "./tbs.ts";

type Args = JudgedCertificateArgs;

/** Whether what was issued lies where it was to be delivered. */
const FIND_OPERATION = {
  operation: "local.certificate.find",
  kind: "read",
  method: "read",
} as const satisfies OperationRow;

/** Has one certificate signed by a key that never leaves its vault, and counts it as issued only when it is exactly what was judged. */
export function azureCertificate(context: AzureContext, notes: Notes): ActionProvider<Args, AuthorityState> {
  const { azure } = context;
  const vaultOf = ({ authority }: Args): string => authority.split("/")[0] ?? "";
  const workOf = (gate: Gate, args: Args, errand: Errand): Issuing => ({
    ...{ context, notes, gate, args, command: errand.id },
    calls: azureCalls(context, gate, errand, args.authority, { vault: vaultOf(args) }),
  });
  return {
    operations: [...CERTIFICATE_OPERATIONS, CHAIN_OPERATION, FIND_OPERATION, ...DELIVERY_OPERATIONS],
    places(args) {
      const named = Object.hasOwn(azure.authorities, args.authority) ? azure.authorities[args.authority] : undefined;
      if (named === undefined) return [];
      const delivered = args.deliver === null ? [] : [findPlace(args.deliver)];
      const vault = placesOf(azure, { vault: vaultOf(args) }, ["GET", "POST"]);
      return [...vault, chainPlace(named.chain), ...delivered, ...deliveryPlaces(args.deliver)];
    },
    async describe(gate, args, errand) {
      try {
        const { chain } = await readAuthority({ ...workOf(gate, args, errand), authority: args.authority });
        return { state: { subject: chain[0].subject } };
      } catch (error) {
        if (error instanceof CallFailed && error.status === "missing") return { missing: error.words };
        throw error;
      }
    },
    execute: (gate, args, found, errand) => issueAndDeliver(workOf(gate, args, errand), found),
    reconcile: async (gate, args, _found, errand) => known(workOf(gate, args, errand)),
  };
}

function findPlace(path: string): CallPlace {
  return { host: path, region: "local", method: "read" };
}

/** One command's dealings with one authority. */
type Issuing = {
  readonly context: AzureContext;
  readonly notes: Notes;
  readonly gate: Gate;
  readonly calls: AzureCalls;
  readonly args: Args;
  readonly command: string;
};

/** An outcome holds four: the leaf always, and as many above it as fit. What is delivered is whole. */
const MAX_RECORDED = 4;
const recorded = (chain: readonly X509Certificate[]): string[] => chain.slice(0, MAX_RECORDED).map(base64);
const issuedChange = (command: string) => ({ what: "certificate", from: null, to: serialOf(command) });

async function issueAndDeliver(work: Issuing, found: AuthorityState): Promise<Executed> {
  const { context, gate, args, command } = work;
  let done: Pick<Executed, "changed" | "certificate"> = { changed: [], certificate: null };
  try {
    const authority = await readAuthority({ ...work, authority: args.authority });
    if (authority.chain[0].subject !== found.subject)
      return failed("concurrent", [], "the authority is another than was judged");
    const validity = validityOf(context.host.clock.now(), args.validity, authority.chain);
    const leaf = await sign(work, authority, validity);
    const chain = [leaf, ...authority.chain];
    // Whatever it is, it is signed and valid from now on: it is on record.
    done = { changed: [issuedChange(command)], certificate: recorded(chain) };
    const fault = faultOf(leaf, authority.chain, { args, chain: authority.chain, validity });
    if (fault !== null) return { ...failed(fault), ...done };
    // If we stop before this is durable nothing was issued: the signature was never outside of this process.
    work.notes.write("issued", command, new TextEncoder().encode(pemOf(chain)));
    if (args.deliver !== null) await deliver(context.host, gate, args.authority, args.deliver, pemOf(chain));
    return succeeded(done.changed, { certificate: done.certificate });
  } catch (error) {
    return { ...stoppedBy(error), ...done };
  }
}

/** The vault signs the digest of what was built here. The bytes are kept first: afterwards they say that it may have been asked. */
async function sign(
  { context, notes, calls, args, command }: Issuing,
  authority: VaultAuthority,
  validity: Validity,
): Promise<X509Certificate> {
  const { signing, key } = authority;
  const built = await unsigned(args, command, validity, authority.chain, signing);
  notes.write("issuing", command, built.tbs);
  const digest = createHash(signing.hash === "SHA-256" ? "sha256" : "sha384")
    .update(built.tbs)
    .digest();
  const [vault = ""] = args.authority.split("/");
  const { host } = endpointOf(context.azure, { vault }).url;
  // The client goes where the key's own id says: it is put together here, not taken from an answer.
  const named = { ...key, id: `https://${host}/keys/${key.name}/${key.properties.version ?? ""}` };
  const { result } = await calls.send("vault", (client) => client.crypto(named).sign(signing.jose, digest));
  return new X509Certificate(new Uint8Array(signedWith(built, result, signing)));
}

/** What an intent became. The chain that was kept is the one that was checked; without it, nobody has a certificate. */
async function known(work: Issuing): Promise<Reconciled> {
  const { notes, args, command } = work;
  const kept = notes.read("issued", command);
  if (kept !== null) {
    const chain = decoded(() => issuedChain(kept, work), null);
    if (chain === null) return byState(unknown("issued-other"));
    const made = { changed: [issuedChange(command)], certificate: recorded(chain) };
    if (args.deliver === null || (await isDelivered(work, args.deliver, pemOf(chain))))
      return byState({ ...succeeded([]), ...made });
    return byState({ ...failed("not-delivered"), ...made });
  }
  if (notes.read("issuing", command) === null) return byState(failed("not-issued"));
  const words = [
    "The key may have signed, and the signature did not get here: no certificate was made of it, and none was delivered.",
    `Look in Key Vault's log for KeySign with cmd/${command} in its client's name.`,
  ];
  return byState(unknown("signed-or-not", [], words.join("\n")));
}

/** The chain that was kept, when it is this command's. */
function issuedChain(kept: Uint8Array, work: Issuing): readonly X509Certificate[] | null {
  const chain = certificatesIn(new TextDecoder().decode(kept));
  const [leaf, ...above] = chain;
  return leaf !== undefined && isCommands(leaf, above, work) ? chain : null;
}

/** What lies on the disk is judged again: by the key, the names, the usages, and the serial number that is the command's. */
function isCommands(leaf: X509Certificate, above: readonly X509Certificate[], { args, command }: Issuing): boolean {
  const seconds = (date: X509Certificate["notBefore"]): number => date.getTime() / 1000;
  const validity = { from: seconds(leaf.notBefore), until: seconds(leaf.notAfter) };
  const own = BigInt(`0x${leaf.serialNumber}`) === BigInt(`0x${serialOf(command)}`);
  const short = validity.until - validity.from + 1 <= args.validity;
  return own && short && faultOf(leaf, above, { args, chain: above, validity }) === null;
}

function isDelivered({ context, gate, args }: Issuing, path: string, pem: string): Promise<boolean> {
  return gate.call(FIND_OPERATION.operation, args.authority, async (leave) => {
    leave(findPlace(path), "writing");
    try {
      const { disk } = context.host;
      const there = disk.exists(path) && Buffer.from(disk.read(path, MAX_CHAIN_BYTES).bytes).toString("utf8") === pem;
      return { value: there, request: null };
    } catch (error) {
      throw error instanceof DiskError ? new CallFailed(error.code, error.message, "none") : error;
    }
  });
}
