import type { SdkResponse } from "./sdkRequest.ts";

const MESSAGE = /<Message>([^<]{0,4096})<\/Message>/g;

/**
 * Route 53 has one error, InvalidChangeBatch, with a form of its own that the SDK reads as an unknown one without words. Put into the form
 * of all others, it keeps its code and what it says. Anything else is left as it came.
 */
export function inCommonForm(answer: SdkResponse): SdkResponse {
  const { response } = answer;
  if (response.statusCode !== 400) return answer;
  const text = Buffer.from(response.body).toString("utf8");
  if (!/^(?:<\?xml[^>]*\?>)?\s*<InvalidChangeBatch[\s>]/.test(text)) return answer;
  const said = [...text.matchAll(MESSAGE)].map(([, message]) => message).join(", ");
  const error = `<Error><Type>Sender</Type><Code>InvalidChangeBatch</Code><Message>${said}</Message></Error>`;
  return { response: { ...response, body: Buffer.from(`<ErrorResponse>${error}</ErrorResponse>`) } };
}
