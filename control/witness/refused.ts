/** An answer that is not 200. */
export type Refused = { readonly status: 400 | 403 | 409; readonly because: string };

export function refused(status: Refused["status"], because: string): Refused {
  return { status, because };
}
