import { readFileSync } from "node:fs";
import { z } from "zod";
import { readStrict } from "../strictFile.ts";
import { Complaint } from "../terminal.ts";
import { STS_PLACES, type StsPlaces } from "./awsPlaces.ts";
import { AZURE_PUBLIC, type AzurePlace, certificatesIn } from "./azurePlaces.ts";
import { GOOGLE_KEYS, type KeysPlace } from "./keysPlace.ts";

/** Where platforms are asked. Fixed in the code; `serve --proofs FILE` adds to it, for sovereign clouds and for tests. */
export type ProofPlaces = {
  readonly aws: StsPlaces;
  /** Google's signing keys. */
  readonly gcp: KeysPlace;
  readonly azure: readonly AzurePlace[];
};
export const PLACES: ProofPlaces = { aws: STS_PLACES, gcp: GOOGLE_KEYS, azure: [AZURE_PUBLIC] };

const Host = z.string().regex(/^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/, "a host's name, in lower case");
const At = z.string().regex(/^[a-z0-9.-]{1,253}:\d{1,5}$/, "HOST:PORT");
const Path = z.string().startsWith("/").max(4096);
/** Signing keys (RFC 7517), read from `host` by `path`. */
const Keys = z.strictObject({
  host: Host,
  path: z.string().regex(/^\/[\w./-]{0,255}$/, "a path"),
  at: At.optional(),
  ca: Path.optional(),
});

/**
 *     aws:
 *       sts:
 *         REGION: { partition: aws, host: sts.REGION.amazonaws.com, at: 127.0.0.1:8443, ca: /PATH.pem }
 *     gcp:
 *       keys: { host: www.googleapis.com, path: /oauth2/v3/certs }
 *     azure:
 *       metadata.azure.us:
 *         cas: /PATH.pem
 *         login: https://login.microsoftonline.us
 *         audiences: [GUID]
 *         keys: { host: login.microsoftonline.us, path: /common/discovery/v2.0/keys }
 *
 * `host`: what the proof is signed for, or who publishes the keys. `at`, where it is asked, and `ca`, what its certificate must lead to, may be
 * left out: then it is `host`, and the system's CAs. `cas`: PEM of the roots, and of the CAs below them, that signers of attested documents are
 * of, in place of those in the code. A cloud of Azure's is named by its metadata service, as that signs.
 */
const ProofsFile = z.strictObject({
  aws: z
    .strictObject({
      sts: z.record(
        z.string().regex(/^[a-z0-9-]{1,32}$/, "a region"),
        z.strictObject({
          partition: z.string().regex(/^[a-z-]{1,32}$/),
          host: Host,
          at: At.optional(),
          ca: Path.optional(),
        }),
      ),
    })
    .optional(),
  gcp: z.strictObject({ keys: Keys }).optional(),
  azure: z
    .record(
      Host,
      z.strictObject({
        cas: Path,
        login: z.string().regex(/^https:\/\/[a-z0-9.-]{1,253}$/, "https://HOST"),
        audiences: z.array(z.string().min(1).max(256)).min(1).max(4),
        keys: Keys,
      }),
    )
    .optional(),
});

/** Reads FILE; throws a Complaint (exit 3) when it is not of its form. */
export function readPlaces(file: string): ProofPlaces {
  const cannot = `use ${file}`;
  const { aws, gcp, azure = {} } = readStrict(file, ProofsFile, cannot, HINT);
  const sts = Object.entries(aws?.sts ?? {}).map(
    ([region, { partition, host, at, ca }]) =>
      [region, { partition, host, at: at ?? host, ca: ca === undefined ? null : readFileSync(ca, "utf8") }] as const,
  );
  const clouds = Object.entries(azure).map(([service, { cas, login, audiences, keys }]) => {
    const certificates = certificatesIn(readFileSync(cas, "utf8"));
    if (certificates === null) throw new Complaint(3, cannot, `${cas} holds no certificates in PEM`, HINT);
    return { service, cas: certificates, login, audiences, keys: keysPlace(keys) };
  });
  return {
    aws: new Map([...PLACES.aws, ...sts]),
    gcp: gcp === undefined ? PLACES.gcp : keysPlace(gcp.keys),
    azure: [...clouds, ...PLACES.azure.filter(({ service }) => !Object.hasOwn(azure, service))],
  };
}

function keysPlace({ host, path, at, ca }: z.infer<typeof Keys>): KeysPlace {
  return { host, path, at: at ?? host, ca: ca === undefined ? null : readFileSync(ca, "utf8") };
}

const HINT = "docs/OPERATIONS.md shows the form, under `admit`.";
