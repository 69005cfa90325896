import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** Tenant, subscription and identity alike, as the bench's config has them. */
const ID = "0b1f6471-1bf0-4dda-aec3-cb9272f09590";
const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
/** Nobody looks at what is in these: nobody is admitted by a platform. */
const TOKEN = `${part({})}.${part({ tid: ID, oid: ID })}.${part({})}`;

const CREDENTIALS = {
  ...{ Code: "Success", AccessKeyId: "ASIAEXAMPLEEXAMPLE00", SecretAccessKey: "secret", Token: "session" },
  Expiration: "2099-01-01T00:00:00Z",
};
/** STS's word of whose credentials these are. */
const CALLER = `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:aws:sts::111122223333:assumed-role/reeve/i-0feedfeed</Arn><UserId>AROAEXAMPLE:i-0feedfeed</UserId><Account>111122223333</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata></GetCallerIdentityResponse>`;

/** What each cloud's metadata service says under a path's begin, as far as an agent reads it that joins. */
const SAYS: readonly (readonly [begin: string, answer: string])[] = [
  [
    "/metadata/instance/compute",
    JSON.stringify({ name: "reeve-0", subscriptionId: ID, resourceGroupName: "prod-eu-1", vmScaleSetName: "" }),
  ],
  ["/metadata/attested/document", JSON.stringify({ encoding: "pkcs7", signature: "AAAA" })],
  ["/metadata/identity/oauth2/token", JSON.stringify({ access_token: TOKEN })],
  ["/latest/meta-data/iam/security-credentials/reeve", JSON.stringify(CREDENTIALS)],
  ["/computeMetadata/v1/instance/service-accounts/reeve@prod-brokers.iam.gserviceaccount.com/identity", TOKEN],
];

/**
 * Where a cloud's machine would ask its metadata service: answers at once, as each cloud's would to a machine that no group made, so that what
 * is measured is the agent. A token for AWS, and STS beside it; of everything that no agent needs it says that it is not there, by Google's header too.
 */
export async function startMetadata(): Promise<{ readonly url: string; stop(): void }> {
  const server = createServer((request, response) => {
    const found = SAYS.find(([begin]) => request.url?.startsWith(begin) === true);
    if (request.method === "PUT") response.end("token");
    else if (request.method === "POST") response.writeHead(200, { "content-type": "text/xml" }).end(CALLER);
    else response.writeHead(found === undefined ? 404 : 200, { "metadata-flavor": "Google" }).end(found?.[1] ?? "");
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, stop: () => void server.close() };
}
