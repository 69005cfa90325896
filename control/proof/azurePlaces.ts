import { X509Certificate } from "node:crypto";
import type { AzureCloud } from "./azure.ts";
import { AZURE_CAS } from "./azureCas.ts";
import { ENTRA_KEYS, type KeysPlace } from "./keysPlace.ts";

/** Where and by whom one of Azure's clouds is asked. `cas`: DER. */
export type AzurePlace = Omit<AzureCloud, "cas" | "keys"> & {
  readonly cas: readonly Uint8Array[];
  readonly keys: KeysPlace;
};

/**
 * The public cloud. The audience is Entra's exchange of tokens (api://AzureADTokenExchange), by its application id as tokens name it: the same in every tenant.
 */
export const AZURE_PUBLIC: AzurePlace = {
  service: "metadata.azure.com",
  cas: AZURE_CAS.map((der) => new Uint8Array(Buffer.from(der, "base64"))),
  login: "https://login.microsoftonline.com",
  audiences: ["fb60f99c-7a34-4190-8149-302f77469936", "api://AzureADTokenExchange"],
  keys: ENTRA_KEYS,
};

const BLOCK = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/** The certificates of a PEM text, DER; null where there is none, or something else among them. */
export function certificatesIn(pem: string): readonly Uint8Array[] | null {
  const blocks = pem.match(BLOCK) ?? [];
  if (blocks.length === 0 || pem.replace(BLOCK, "").trim() !== "") return null;
  try {
    return blocks.map((block) => new Uint8Array(new X509Certificate(block).raw));
  } catch {
    return null;
  }
}
