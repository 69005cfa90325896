/** Who a machine is, as its platform has shown to us: nothing in it is the caller's word. */
export type Shown =
  /** `session`: the instance's id. */
  | { readonly platform: "aws"; readonly account: string; readonly role: string; readonly session: string }
  /** `account`: the service account's e-mail; `instance`: its numeric id. */
  | { readonly platform: "gcp"; readonly project: string; readonly account: string; readonly instance: string }
  /** `principal`: the managed identity's object id; `vm`: the machine's id. */
  | { readonly platform: "azure"; readonly subscription: string; readonly principal: string; readonly vm: string };

/** What an admission names: the place (account, project, subscription) and who in it may enrol. */
export type Principal = { readonly platform: Shown["platform"]; readonly place: string; readonly who: string };

export function principalOf(shown: Shown): Principal {
  switch (shown.platform) {
    case "aws":
      return { platform: "aws", place: shown.account, who: shown.role };
    case "gcp":
      return { platform: "gcp", place: shown.project, who: shown.account };
    case "azure":
      return { platform: "azure", place: shown.subscription, who: shown.principal };
  }
}

/** The machine itself: for the record. An admission names none, for a replaced machine has another. */
export function machineOf(shown: Shown): string {
  switch (shown.platform) {
    case "aws":
      return shown.session;
    case "gcp":
      return shown.instance;
    case "azure":
      return shown.vm;
  }
}

export function samePrincipal(one: Principal, other: Principal): boolean {
  return one.platform === other.platform && one.place === other.place && one.who === other.who;
}

export function principalText({ platform, place, who }: Principal): string {
  return `${platform} ${place}/${who}`;
}
