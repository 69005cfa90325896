import "reflect-metadata";
import { X509Certificate as IndependentCertificate } from "node:crypto";
import { closeSync, constants, fsyncSync, linkSync, openSync, unlinkSync } from "node:fs";
import { dirname } from "node:path";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  SubjectAlternativeNameExtension,
  X509Certificate,
} from "@peculiar/x509";
import type { Host } from "../../agent/host/host.ts";
import { CLOCK_SKEW_SECONDS } from "../../agent/limits.ts";
import type { LocalConfig } from "../../agent/providerConfig/local.ts";
import { USAGES } from "../issued.ts";
import { leafOf, requestOf, serialOf } from "../leaf.ts";
import { byState, failed, stoppedBy, succeeded } from "../outcome.ts";
import {
  type ActionProvider,
  type AuthorityState,
  CallFailed,
  type Executed,
  type Gate,
  type JudgedCertificateArgs,
} from "../provider.ts";
import { type Authority, openAuthority, readChain } from "./authority.ts";
import { answer, diskFailure, place } from "./call.ts";

const MAX_ISSUED_BYTES = 64 * 1024;
/** A short certificate is dated back by no more than this part of it. */
const BACKDATE_PART = 10;

type Args = JudgedCertificateArgs;

/** An authority is a folder: `ca.key`, `ca.crt`, and `issued/SERIAL.pem` for each certificate, whose serial comes from the command's id. */
export function localCertificate(host: Host, config: LocalConfig): ActionProvider<Args, AuthorityState> {
  const directoryOf = ({ authority }: Args): string | null =>
    Object.hasOwn(config.authorities, authority) ? (config.authorities[authority]?.directory ?? null) : null;
  return {
    operations: [
      { operation: "local.authority.read", kind: "read", method: "read" },
      { operation: "local.certificate.find", kind: "read", method: "read" },
      { operation: "local.certificate.issue", kind: "change", method: "sign" },
      { operation: "local.certificate.deliver", kind: "change", method: "write" },
    ],
    places(args) {
      const directory = directoryOf(args);
      if (directory === null) return [];
      const deliver = args.deliver === null ? [] : [place(args.deliver, "write"), place(args.deliver, "read")];
      return [place(directory, "read"), place(directory, "sign"), ...deliver];
    },
    async describe(gate, args) {
      const directory = directoryOf(args);
      if (directory === null) return { missing: `the config has no authority ${args.authority}` };
      try {
        return { state: { subject: (await readAuthority(host, gate, args, directory)).certificate.subject } };
      } catch (error) {
        if (error instanceof CallFailed) return { unreadable: error.status };
        throw error;
      }
    },
    async execute(gate, args, state, errand) {
      const directory = directoryOf(args);
      if (directory === null) return failed("missing");
      return issueAndDeliver(host, gate, args, state, directory, errand.id);
    },
    async reconcile(gate, args, _found, errand) {
      const directory = directoryOf(args);
      if (directory === null) return byState(failed("missing"));
      const chain = await findIssued(host, gate, args, directory, errand.id);
      if (chain === null) return byState(failed("not-issued"));
      const made = { certificate: chain.map(base64) };
      const changed = [issuedChange(errand.id)];
      if (args.deliver === null || (await isDelivered(host, gate, args, args.deliver, chain)))
        return byState(succeeded(changed, made));
      return byState({ ...failed("not-delivered", changed), ...made });
    },
  };
}

function issuedPath(directory: string, id: string): string {
  return `${directory}/issued/${serialOf(id)}.pem`;
}
function issuedChange(id: string) {
  return { what: "certificate", from: null, to: serialOf(id) };
}
function base64(certificate: X509Certificate): string {
  return Buffer.from(certificate.rawData).toString("base64");
}
function pem(chain: readonly X509Certificate[]): Uint8Array {
  return new TextEncoder().encode(chain.map((certificate) => `${certificate.toString("pem").trim()}\n`).join(""));
}

function readAuthority(host: Host, gate: Gate, args: Args, directory: string): Promise<Authority> {
  return gate.call("local.authority.read", args.authority, async (leave) => {
    leave(place(directory, "read"), "writing");
    try {
      return answer(await openAuthority(host.disk, directory));
    } catch (error) {
      throw diskFailure(error, "none");
    }
  });
}

/** The chain that was issued for this command, or null. Throws CallFailed when what lies there is not that. */
function findIssued(
  host: Host,
  gate: Gate,
  args: Args,
  directory: string,
  id: string,
): Promise<X509Certificate[] | null> {
  return gate.call("local.certificate.find", args.authority, async (leave) => {
    leave(place(directory, "read"), "writing");
    try {
      const path = issuedPath(directory, id);
      return answer(host.disk.exists(path) ? await readIssued(host, args, directory, id) : null);
    } catch (error) {
      throw diskFailure(error, "none");
    }
  });
}

async function readIssued(host: Host, args: Args, directory: string, id: string): Promise<X509Certificate[]> {
  const text = new TextDecoder().decode(host.disk.read(issuedPath(directory, id), MAX_ISSUED_BYTES).bytes);
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  let leaf: X509Certificate;
  try {
    leaf = new X509Certificate(blocks[0] ?? "");
  } catch (error) {
    throw new CallFailed("issued-unreadable", String(error), "none");
  }
  const chain = readChain(host.disk, directory);
  const fault = await faultOf(leaf, new Pkcs10CertificateRequest(new Uint8Array(args.csrDer)), chain, args, id);
  if (fault !== null) throw new CallFailed("issued-other", fault, "none");
  return [leaf, ...chain];
}

/** Whether the chain already lies where it is to be delivered. */
function isDelivered(
  host: Host,
  gate: Gate,
  args: Args,
  deliver: string,
  chain: readonly X509Certificate[],
): Promise<boolean> {
  return gate.call("local.certificate.find", args.authority, async (leave) => {
    leave(place(deliver, "read"), "writing");
    try {
      if (!host.disk.exists(deliver)) return answer(false);
      return answer(Buffer.from(host.disk.read(deliver, MAX_ISSUED_BYTES).bytes).equals(pem(chain)));
    } catch (error) {
      throw diskFailure(error, "none");
    }
  });
}

async function issueAndDeliver(
  host: Host,
  gate: Gate,
  args: Args,
  state: AuthorityState,
  directory: string,
  id: string,
): Promise<Executed> {
  let chain: readonly X509Certificate[] | null = null;
  try {
    const authority = await readAuthority(host, gate, args, directory);
    if (authority.certificate.subject !== state.subject)
      return failed("concurrent", [], "the authority is another than was judged");
    chain = await issue(host, gate, args, authority, directory, id);
    if (args.deliver !== null) await deliver(host, gate, args, args.deliver, chain);
    return succeeded([issuedChange(id)], { certificate: chain.map(base64) });
  } catch (error) {
    const changed = chain === null ? [] : [issuedChange(id)];
    return { ...stoppedBy(error, changed), certificate: chain?.map(base64) ?? null };
  }
}

function deliver(host: Host, gate: Gate, args: Args, path: string, chain: readonly X509Certificate[]): Promise<void> {
  return gate.call("local.certificate.deliver", args.authority, async (leave) => {
    leave(place(path, "write"), "writing");
    try {
      host.disk.replace(path, pem(chain), 0o644);
    } catch (error) {
      throw diskFailure(error, "none");
    }
    return answer(undefined);
  });
}

/** Signs, checks the result against what was judged, and only then makes it durable under its serial's name, which must be free. */
function issue(
  host: Host,
  gate: Gate,
  args: Args,
  authority: Authority,
  directory: string,
  id: string,
): Promise<X509Certificate[]> {
  return gate.call("local.certificate.issue", args.authority, async (leave) => {
    const request = await requestOf(args);
    const { notBefore, notAfter } = validityOf(host.clock.now(), args.validity, authority.certificate);
    leave(place(directory, "sign"), "writing");
    const leaf = await leafOf({
      ...{ args, request, serial: serialOf(id), issuer: authority.certificate, notBefore, notAfter },
      ...{ key: authority.key, algorithm: authority.signing },
    });
    const fault = await faultOf(leaf, request, authority.chain, args, id);
    if (fault !== null) throw new CallFailed("issued-other", fault, "none");
    try {
      const path = issuedPath(directory, id);
      host.disk.makeDirectory(dirname(path), 0o700);
      // If we stop before the name is there nothing was issued: the signature was never outside of this process.
      if (!createOnce(host, path, pem([leaf, ...authority.chain])))
        return answer(await readIssued(host, args, directory, id));
    } catch (error) {
      throw diskFailure(error, "unknown");
    }
    return answer([leaf, ...authority.chain]);
  });
}

type Validity = Pick<X509Certificate, "notBefore" | "notAfter">;

/** Dated back for clocks that run behind; as a whole no longer than asked (both ends are inclusive), and never beyond the CA's own. */
function validityOf(now: number, validity: number, ca: X509Certificate): Validity {
  const seconds = Math.floor(now / 1000);
  const [from, until] = [ca.notBefore.getTime() / 1000, ca.notAfter.getTime() / 1000];
  if (seconds < from || seconds >= until)
    throw new CallFailed("authority-expired", "the authority's certificate is not valid now", "none");
  const start = Math.max(seconds - Math.min(CLOCK_SKEW_SECONDS, Math.floor(validity / BACKDATE_PART)), from);
  const end = Math.min(start + validity - 1, until);
  return { notBefore: dateOf(start), notAfter: dateOf(end) };
}

function dateOf(seconds: number): Validity["notBefore"] {
  // biome-ignore lint/style/noRestrictedGlobals: A date made of a number reads no clock.
  return new Date(seconds * 1000);
}

/** What about a certificate is not as it was judged; null when all is. The signature is checked by a second implementation. */
async function faultOf(
  leaf: X509Certificate,
  request: Pkcs10CertificateRequest,
  chain: readonly X509Certificate[],
  args: Args,
  id: string,
): Promise<string | null> {
  const [ca] = chain;
  const names =
    leaf.getExtension(SubjectAlternativeNameExtension)?.names.items.map(({ type, value }) => `${type}:${value}`) ?? [];
  const usages = leaf.getExtension(ExtendedKeyUsageExtension)?.usages.map(String) ?? [];
  const seconds = (leaf.notAfter.getTime() - leaf.notBefore.getTime()) / 1000 + 1;
  const other = new IndependentCertificate(Buffer.from(leaf.rawData));
  if (ca === undefined || !other.verify(new IndependentCertificate(Buffer.from(ca.rawData)).publicKey))
    return "its signature is not the authority's";
  // OpenSSL's word (`ca`) is no where the certificate may not sign: the extension is read by itself too.
  const authority = other.ca || leaf.getExtension(BasicConstraintsExtension)?.ca === true;
  if (leaf.issuer !== ca.subject || authority) return "its issuer or its CA flag";
  if (BigInt(`0x${leaf.serialNumber}`) !== BigInt(`0x${serialOf(id)}`)) return "its serial number";
  if (!Buffer.from(leaf.publicKey.rawData).equals(Buffer.from(request.publicKey.rawData))) return "its key";
  if (leaf.subject !== request.subject) return "its subject";
  if (
    !sameSet(
      names,
      args.names.map((name) => `dns:${name}`),
    )
  )
    return "its names";
  if (
    !sameSet(
      usages,
      args.usages.map((usage) => USAGES[usage]),
    )
  )
    return "its usages";
  if (leaf.getExtension(KeyUsagesExtension)?.usages !== KeyUsageFlags.digitalSignature) return "its key usage";
  if (seconds > args.validity || seconds < 1 || leaf.notAfter > ca.notAfter) return "its validity";
  return null;
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  return [...new Set(a)].sort().join("\n") === [...new Set(b)].sort().join("\n");
}

/** Writes the file whole or not at all, and durably; false when the name is taken. */
function createOnce(host: Host, path: string, bytes: Uint8Array): boolean {
  const making = `${path}.${Buffer.from(host.random.bytes(8)).toString("hex")}.new`;
  host.disk.replace(making, bytes, 0o644);
  try {
    linkSync(making, path);
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  } finally {
    unlinkSync(making);
  }
  const folder = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
  return true;
}
