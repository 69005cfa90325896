import "reflect-metadata";
import type { X509Certificate } from "@peculiar/x509";
import { type Disk, DiskError } from "../../agent/host/host.ts";
import { certificatesIn, pemOf } from "../chain.ts";
import { CallFailed } from "../provider.ts";
import type { AcmeContext } from "./call.ts";
import { MAX_ROOTS_BYTES } from "./limits.ts";

function read(disk: Disk, path: string): readonly X509Certificate[] {
  let text: string;
  try {
    text = new TextDecoder().decode(disk.read(path, MAX_ROOTS_BYTES).bytes);
  } catch (error) {
    throw error instanceof DiskError ? new CallFailed("roots", `${path}: ${error.code}`, "none") : error;
  }
  const roots = certificatesIn(text);
  if (roots.length === 0) throw new CallFailed("roots", `${path} holds no certificate`, "none");
  return roots;
}

/** What issued chains must lead to; null where the config names nothing. Throws CallFailed. */
export function issuersOf({ setting, acme }: Pick<AcmeContext, "setting" | "acme">): readonly X509Certificate[] | null {
  return acme.issued_by === undefined ? null : read(setting.host.disk, acme.issued_by);
}

/** What the directory's TLS is held to, PEM; null: what the runtime brings. Throws CallFailed. */
export function tlsRootsOf({ setting, acme }: Pick<AcmeContext, "setting" | "acme">): readonly string[] | null {
  return acme.root === undefined ? null : read(setting.host.disk, acme.root).map((root) => pemOf([root]));
}
