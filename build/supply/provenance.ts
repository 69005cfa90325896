/** What a release was built from, as an in-toto statement in a DSSE envelope. Pure: no time is in it, so the same release gives the same bytes. */
export type Subject = { readonly name: string; readonly sha256: string };
/** `commit`: null where the sources are no clean checkout of git's. */
export type Built = {
  readonly subjects: readonly Subject[];
  readonly version: string;
  readonly lockSha256: string;
  readonly commit: string | null;
  readonly bun: string;
};
const PAYLOAD_TYPE = "application/vnd.in-toto+json";

/** in-toto Statement v1 with the predicate of SLSA provenance v1 (https://slsa.dev/spec/v1.0/provenance). */
export function statementOf({ subjects, version, lockSha256, commit, bun }: Built): string {
  return JSON.stringify({
    _type: "https://in-toto.io/Statement/v1",
    subject: subjects.map(({ name, sha256 }) => ({ name, digest: { sha256 } })),
    predicateType: "https://slsa.dev/provenance/v1",
    predicate: {
      buildDefinition: {
        buildType: "urn:reeve:build:v1",
        externalParameters: { command: "bun run release", version },
        resolvedDependencies: [
          ...(commit === null ? [] : [{ name: "sources", digest: { gitCommit: commit } }]),
          { name: "bun.lock", digest: { sha256: lockSha256 } },
          { name: "bun", uri: `pkg:npm/bun@${bun}` },
        ],
      },
      runDetails: { builder: { id: "urn:reeve:builder:signer-of-this-envelope", version: { bun } } },
    },
  });
}

/** Pre-authentication encoding (https://github.com/secure-systems-lab/dsse/blob/master/protocol.md). */
function encoded(payload: string): Uint8Array {
  const [type, body] = [Buffer.from(PAYLOAD_TYPE), Buffer.from(payload)];
  return Buffer.concat([Buffer.from(`DSSEv1 ${type.length} ${PAYLOAD_TYPE} ${body.length} `), body]);
}

export function envelopeOf(
  payload: string,
  signer: { readonly kid: string; sign(bytes: Uint8Array): Uint8Array },
): string {
  const sig = Buffer.from(signer.sign(encoded(payload))).toString("base64");
  const signatures = [{ keyid: signer.kid, sig }];
  return `${JSON.stringify({ payloadType: PAYLOAD_TYPE, payload: Buffer.from(payload).toString("base64"), signatures })}\n`;
}
