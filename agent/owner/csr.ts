import { createHash } from "node:crypto";
import { type Disk, DiskError } from "../host/host.ts";
import { MAX_CSR_BYTES, MAX_CSR_FILES } from "../limits.ts";
import { csrFromPem } from "../wire/csr.ts";

export type FoundCsr = { readonly der: Uint8Array; readonly path: string };

/**
 * The request in the CSR folder whose file's bytes have this SHA-256. The bytes are read once: what is judged is what is signed.
 * Files end in `.csr` and hold one PEM block.
 */
export function findCsr(
  disk: Disk,
  folder: string,
  sha256: string,
): FoundCsr | { readonly because: string; readonly hint: string } {
  let names: string[];
  try {
    names = disk.list(folder).filter((name) => name.endsWith(".csr"));
  } catch (error) {
    if (!(error instanceof DiskError)) throw error;
    return {
      because: `the CSR folder ${folder} cannot be read (${error.code})`,
      hint: "Create it, readable by the agent.",
    };
  }
  if (names.length > MAX_CSR_FILES)
    return { because: `the CSR folder holds more than ${MAX_CSR_FILES} requests`, hint: "Remove old ones." };
  for (const name of names) {
    const path = `${folder}/${name}`;
    let bytes: Uint8Array;
    try {
      bytes = disk.read(path, MAX_CSR_BYTES).bytes;
    } catch (error) {
      // Another's unreadable file must not stand in the way of the one that was asked for.
      if (error instanceof DiskError) continue;
      throw error;
    }
    if (createHash("sha256").update(bytes).digest("hex") !== sha256) continue;
    const der = csrFromPem(new TextDecoder().decode(bytes));
    if (der === null)
      return { because: `${name} is not one PEM certificate request`, hint: "Write it with `openssl req -new`." };
    return { der, path };
  }
  return {
    because: `no request in ${folder} has the SHA-256 ${sha256}`,
    hint: "Compare with `sha256sum` of the .csr file.",
  };
}

/** Where the certificate is delivered: beside the request. */
export function certificateBeside(csrPath: string): string {
  return `${csrPath.slice(0, -".csr".length)}.crt`;
}
