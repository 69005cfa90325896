import { FlattenedSign } from "jose";
import { DiskError } from "../../agent/host/host.ts";
import type { Acme } from "../../agent/providerConfig/acme.ts";
import { CallFailed } from "../provider.ts";
import { type AccountKey, accountKey } from "./accountKey.ts";
import type { AcmeCalls, AcmeContext, Signer } from "./call.ts";
import { MAX_KEY_BYTES } from "./limits.ts";
import { linkOf } from "./link.ts";
import { Account, objectOf } from "./objects.ts";

/** One whose account is known. */
export type AccountSigner = Signer & { readonly account: string };

export function keyPath({ acme, state }: AcmeContext): string {
  return acme.account_key ?? `${state}/account-key.pem`;
}

/**
 * The account of this machine's key; made where there is none (RFC 8555 section 7.3: for a key that has one, the same request answers with that
 * one, so it is made once however often it is asked). Throws CallFailed.
 */
export async function account(context: AcmeContext, calls: AcmeCalls): Promise<AccountSigner> {
  const { acme } = context;
  const { newAccount, meta } = await calls.directory();
  const key = await accountKey(context.setting.host.disk, context.setting.uid, keyPath(context));
  if (meta.externalAccountRequired && acme.external_account === undefined)
    throw new CallFailed(
      "external-account",
      "the authority makes accounts only for those it knows: external_account",
      "none",
    );
  const binding =
    acme.external_account === undefined
      ? {}
      : { externalAccountBinding: await bound(context, key, newAccount, acme.external_account) };
  const contact = acme.contact.length === 0 ? {} : { contact: acme.contact };
  const payload = { termsOfServiceAgreed: acme.terms === "agreed", ...contact, ...binding };
  return { key, account: await asked(context, calls, "acme:newAccount", payload, key) };
}

/** The account's URL, only looked for. Throws CallFailed `account-missing` where this key has none. */
export function findAccount(context: AcmeContext, calls: AcmeCalls, key: AccountKey): Promise<string> {
  return asked(context, calls, "acme:account", { onlyReturnExisting: true }, key);
}

async function asked(
  { acme }: AcmeContext,
  calls: AcmeCalls,
  operation: "acme:newAccount" | "acme:account",
  payload: object,
  key: AccountKey,
): Promise<string> {
  const { newAccount } = await calls.directory();
  const answer = await calls.post(operation, newAccount, payload, { key, account: null });
  const { status } = objectOf(Account, answer);
  if (status !== "valid") throw new CallFailed("account-ended", `the account is ${status}`, "none");
  return linkOf(acme, answer.headers["location"] ?? "").href;
}

/** RFC 8555 section 7.3.4: the account's public key, under the other account's own. */
async function bound(
  { setting }: AcmeContext,
  key: AccountKey,
  url: string,
  { id, key_file }: NonNullable<Acme["external_account"]>,
): Promise<object> {
  const secret = readSecret(setting.host.disk, key_file);
  return new FlattenedSign(new TextEncoder().encode(JSON.stringify(key.jwk)))
    .setProtectedHeader({ alg: "HS256", kid: id, url })
    .sign(secret);
}

const MIN_SECRET_BYTES = 16;

function readSecret(disk: AcmeContext["setting"]["host"]["disk"], path: string): Uint8Array {
  const unfit = (words: string) => new CallFailed("external-account", `${path}: ${words}`, "none");
  let read: ReturnType<typeof disk.read>;
  try {
    read = disk.read(path, MAX_KEY_BYTES);
  } catch (error) {
    throw error instanceof DiskError ? unfit(error.code) : error;
  }
  if ((read.stat.mode & 0o077) !== 0) throw unfit("it may be read by others: chmod 600 it");
  const text = new TextDecoder().decode(read.bytes).trim();
  const secret = Buffer.from(text, "base64url");
  if (secret.toString("base64url") !== text.replace(/=+$/, "") || secret.length < MIN_SECRET_BYTES)
    throw unfit(`it is not base64url of ${MIN_SECRET_BYTES} bytes or more`);
  return secret;
}
