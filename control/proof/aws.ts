import { type Proof, STS } from "../../agent/wire/proof.ts";
import { Faulted } from "../fault.ts";
import { type Answered, ask } from "./ask.ts";
import type { StsPlaces } from "./awsPlaces.ts";
import type { Shown } from "./shown.ts";

type AwsProof = Extract<Proof, { platform: "aws" }>;

const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=[A-Z0-9]{16,128}\/(\d{8})\/([a-z0-9-]+)\/sts\/aws4_request, SignedHeaders=([a-z0-9;-]+), Signature=[0-9a-f]{64}$/;
/** An instance's role: the session is the instance's id. */
const ASSUMED = /^arn:([a-z-]{1,32}):sts::(\d{12}):assumed-role\/([\w+=,.@-]{1,64})\/(i-[0-9a-f]{8,17})$/;
/** The whole document, so that nothing else can stand in it. */
const IDENTITY =
  /^(?:<\?xml[^<>]{0,80}\?>)?\s*<GetCallerIdentityResponse xmlns="https:\/\/sts\.amazonaws\.com\/doc\/2011-06-15\/">\s*<GetCallerIdentityResult>((?:\s*<(Arn|UserId|Account)>[^<>&\s]{1,256}<\/\2>){3})\s*<\/GetCallerIdentityResult>\s*<ResponseMetadata>\s*<RequestId>[\w-]{1,128}<\/RequestId>\s*<\/ResponseMetadata>\s*<\/GetCallerIdentityResponse>\s*$/;

/**
 * Whose credentials signed GetCallerIdentity with our binding in a signed header, by AWS's own word. The request is made here: of what was sent
 * only date, session token and signature go into it, to a host of our list. Faulted: proof-invalid, unavailable.
 */
export async function shownByAws(proof: AwsProof, binding: Uint8Array, places: StsPlaces): Promise<Shown | Faulted> {
  const place = places.get(proof.region);
  if (place === undefined) return invalid("no STS of this region is known here");
  const [, day, region, signed] = AUTHORIZATION.exec(proof.authorization) ?? [];
  if (signed === undefined) return invalid("its authorization is not that of a Signature Version 4 for STS");
  // What is not signed binds nothing; what is signed beside it would be another request than ours.
  if (signed !== STS.signedHeaders) return invalid("it does not sign just the headers that a proof signs");
  if (region !== proof.region || day !== proof.date.slice(0, 8)) return invalid("its parts do not belong together");
  const answer = await ask(place, {
    method: STS.method,
    path: STS.path,
    headers: {
      "content-type": STS.contentType,
      "x-amz-date": proof.date,
      "x-amz-security-token": proof.session,
      [STS.bindingHeader]: Buffer.from(binding).toString("hex"),
      authorization: proof.authorization,
      // By this `reeve audit reconcile` knows the call, which stands in the customer's CloudTrail as the role's.
      "user-agent": "reeve-control/proof",
    },
    body: STS.body,
  });
  if ("unreachable" in answer) return new Faulted("unavailable", `STS cannot be asked: ${answer.unreachable}`);
  return answer.status === 200 ? identityIn(answer, place.partition) : refusalIn(answer);
}

function identityIn({ type, body }: Answered, partition: string): Shown | Faulted {
  const fields = /^text\/xml(?:;|$)/.test(type) ? IDENTITY.exec(body)?.[1] : undefined;
  if (fields === undefined) return new Faulted("unavailable", "STS gave an answer that is not its own");
  const said = new Map([...fields.matchAll(/<(\w+)>([^<]+)</g)].map(([, name, value]) => [name, value]));
  const [, of, account, role, session] = ASSUMED.exec(said.get("Arn") ?? "") ?? [];
  if (account === undefined || role === undefined || session === undefined)
    return invalid("the credentials are not those of an instance's role");
  const whole = of === partition && said.get("Account") === account && said.get("UserId")?.endsWith(`:${session}`);
  return whole ? { platform: "aws", account, role, session } : invalid("what STS says does not agree with itself");
}

/** What STS says of a request that it could not take whoever signed it is no word on the signature. */
function refusalIn({ status, body }: Answered): Faulted {
  const code = /<Code>([A-Za-z.]{1,64})<\/Code>/.exec(body)?.[1] ?? "";
  if (status === 403 || (status === 400 && REFUSED.has(code)))
    return invalid(REFUSED.get(code) ?? "STS refuses the signature");
  return new Faulted("unavailable", `STS cannot be asked: it answers ${status}`);
}

const REFUSED = new Map([
  ["SignatureDoesNotMatch", "STS says that the signature is of another request, or that its clock is another"],
  ["RequestExpired", "STS says that the request is too old: compare the machine's clock"],
  ["ExpiredToken", "STS says that the credentials have expired"],
  ["ExpiredTokenException", "STS says that the credentials have expired"],
  ["InvalidClientTokenId", "STS does not know the credentials"],
  ["IncompleteSignature", "STS says that the signature is incomplete"],
]);

function invalid(why: string): Faulted {
  return new Faulted("proof-invalid", `the proof is refused: ${why}`);
}
