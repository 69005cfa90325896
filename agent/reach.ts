/** What to do about an endpoint that was not reached. `reason`: Unreachable's short word; `place`: HOST:PORT. */
export function reachHint(reason: string, place: string): string {
  if (reason.startsWith("proxy: ")) return proxyHint(reason.slice("proxy: ".length), place);
  if (reason.startsWith("tls: "))
    return `The certificate must be of the pinned root, for this name, and valid now. Nothing was sent to ${place}.`;
  switch (reason) {
    case "dns":
      return "No name server knows it: compare the name; look into /etc/resolv.conf. Behind a proxy, name it in egress.proxy.";
    case "refused":
      return `Nothing listens there, or a firewall says no: compare the port, and ask the vendor whether it runs.`;
    case "timeout":
    case "no-route":
      return `A firewall or a route swallows it: let this machine out to ${place} (TCP), or name a proxy in egress.proxy.`;
    case "reset":
    case "closed":
      return `Something ended the connection: a firewall that looks into TLS, or a server that is no control plane. Exempt ${place}.`;
    case "address":
      return "It is no https://HOST:PORT.";
    default:
      return `Check the address, and that the firewall lets this machine out to ${place}.`;
  }
}

function proxyHint(reason: string, place: string): string {
  if (reason === "407")
    return "The proxy wants a name and a password, or takes others: put USER:PASSWORD into a file of mode 0600 and name it as egress.proxy.credentials_file.";
  if (/^[34]\d\d$/.test(reason))
    return `The proxy does not permit it: have CONNECT to ${place} allowed there. Many permit port 443 only.`;
  if (/^\d\d\d$/.test(reason))
    return `The proxy cannot reach ${place} itself: see to its name service, its route, its log.`;
  if (reason.startsWith("credentials"))
    return "The file of egress.proxy.credentials_file must hold USER:PASSWORD in one line, mode 0600, the agent's own or root's.";
  if (reason === "not HTTP" || reason === "endless head" || reason === "bytes before TLS")
    return "What answers at egress.proxy is no HTTP proxy that takes CONNECT: compare its address.";
  return "The proxy itself does not answer: compare egress.proxy, and see whether it runs.";
}
