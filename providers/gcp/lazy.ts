/** Google's clients are evaluated at the first call: an agent that waits does not hold them. */
export const googleClients = () => import("./clients.ts");
