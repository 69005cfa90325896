/** The words by which entries are left out, of the command line's flags and of the page's filter. */
export const ACTIONS = ["scale", "issue-certificate", "update-dns", "deploy"] as const;
/** What became of a command. `refused` holds what could not even be opened, too. */
export const OUTCOMES = ["succeeded", "failed", "unknown", "refused", "considered", "waiting", "cancelled"] as const;
export type Action = (typeof ACTIONS)[number];
export type OutcomeWord = (typeof OUTCOMES)[number];
