/** Workflow commands of GitHub Actions, which become annotations of a pull request: `::error file=…,line=…,col=…,title=…::message`. */
export type Place = { readonly file: string; readonly line?: number; readonly col?: number; readonly title?: string };

/** `%`, and what would end the line. The runner takes `%25`, `%0D` and `%0A` back. */
function data(text: string): string {
  return text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}
/** In a property also what would end it. */
function property(text: string): string {
  return data(text).replaceAll(":", "%3A").replaceAll(",", "%2C");
}

export function annotation(kind: "error" | "warning" | "notice", place: Place, message: string): string {
  const said = Object.entries(place).map(([name, value]) => `${name}=${property(String(value))}`);
  return `::${kind} ${said.join(",")}::${data(message)}`;
}
