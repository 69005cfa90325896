import { decodeAnswer, decodeError, encodeCall, type Message, type Structure } from "./codec.ts";
import { modelOf, type Service } from "./model.ts";
import type { Moto } from "./moto.ts";
import { type Secret, sign } from "./signature.ts";
import { type Element, parseXml } from "./xml.ts";

export const REGION = "eu-west-1";

/** Route 53 and IAM are global: their calls are signed for this region. */
export const GLOBAL_REGION = "us-east-1";
export function regionOf(service: Service | "ec2", region: string = REGION): string {
  return service === "route53" || service === "iam" ? GLOBAL_REGION : region;
}

/** moto's own refusal, with the code that it gave. */
export class MotoRefused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly words: string,
  ) {
    super(`moto: ${status} ${code} ${words}`);
    this.name = "MotoRefused";
  }
}

/** Calls moto itself, past the proxy, as one who may do everything. */
export type Admin = {
  call(service: Service, operation: string, params: Structure, region?: string): Promise<Structure>;
  /** EC2 in its own form, for set-up. */
  ec2(action: string, fields: Readonly<Record<string, string>>): Promise<Element>;
  /** The same call as somebody else. */
  as(secret: Secret): Admin;
};

/** Sends a message to moto as it is; its answer with the body as text. */
export async function toMoto(moto: Moto, message: Message): Promise<{ status: number; type: string; body: string }> {
  const answer = await fetch(`http://127.0.0.1:${moto.port}${message.path}`, {
    method: message.method,
    headers: message.headers,
    redirect: "manual",
    ...(message.method === "GET" ? {} : { body: message.body }),
  });
  return { status: answer.status, type: answer.headers.get("content-type") ?? "", body: await answer.text() };
}

export function makeAdmin(moto: Moto, secret: Secret): Admin {
  const host = `127.0.0.1:${moto.port}`;
  const send = async (message: Message, region: string, service: string): Promise<string> => {
    const { status, body } = await toMoto(moto, sign(message, host, secret, region, service));
    if (status < 300) return body;
    const error = decodeError(body.trim());
    throw new MotoRefused(status, error?.code ?? "", error?.message ?? body.slice(0, 500));
  };
  return {
    as: (other) => makeAdmin(moto, other),
    async call(service, operation, params, region) {
      const model = modelOf(service);
      const body = await send(encodeCall(model, operation, params), regionOf(service, region), service);
      return decodeAnswer(model, operation, body);
    },
    async ec2(action, fields) {
      const body = new URLSearchParams({ Action: action, Version: "2016-11-15", ...fields }).toString();
      const headers = { "content-type": "application/x-www-form-urlencoded; charset=utf-8" };
      return parseXml(await send({ method: "POST", path: "/", headers, body }, REGION, "ec2"));
    },
  };
}
