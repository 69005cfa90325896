/** In place of google-auth-library: credentials come from the metadata server alone, so there is no default chain to fall back on. */
export class GoogleAuth {
  constructor() {
    throw new Error("Google's default credentials were asked for");
  }
}
